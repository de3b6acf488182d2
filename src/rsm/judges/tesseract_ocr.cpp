// The one source that knows Tesseract.

#include "rsm/judges/tesseract_ocr.h"

#include <algorithm>
#include <cmath>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <utility>
#include <vector>

#include "rsm/base/error.h"
#include "rsm/io/files.h"
#include "rsm/judges/network_reward.h"
#include "rsm/judges/onnx_pixels.h"

#ifdef RSM_TESSERACT
#include <dlfcn.h>
#include <tesseract/baseapi.h>
#include <tesseract/resultiterator.h>

#include <climits>
#endif

namespace rsm {

#ifndef RSM_TESSERACT

class TesseractOcr::Readers {};

bool has_tesseract() { return false; }

TesseractOcr::TesseractOcr(std::string who, OcrSettings settings, int64_t)
    : who_(std::move(who)), settings_(std::move(settings)) {
  throw Error(cat("[", who_,
                  "] ocr.json asks for the engine \"tesseract\", and this "
                  "program was built without it: `make setup` installs it "
                  "(Debian's libtesseract-dev and tesseract-ocr-eng), then "
                  "build again; or choose \"pp-ocr\" (docs/rewards.md)"));
}

TesseractOcr::~TesseractOcr() = default;

std::string TesseractOcr::read(const torch::Tensor&) const { return {}; }

void TesseractOcr::check() const {}

#else

namespace {

using tesseract::TessBaseAPI;

constexpr const char* kDataEnding = ".traineddata";
constexpr int kChannels = 3;
/** Dots per inch, the least that Tesseract believes: what it takes, with a
 * warning, for pictures that do not say theirs. */
constexpr int kResolution = 70;
constexpr double kPercent = 100;

/** Keeps the OpenMP regions of this thread to one thread: Tesseract asks for
 * four in each call, which costs half of the speed where every core reads. The
 * limit is this thread's alone, what `teams thread_limit(1)` sets in GCC's
 * OpenMP; under another one Tesseract's threads are left as they are. */
class OneThread {
 public:
  OneThread() {
    if (set() != nullptr && limit() != nullptr) {
      before_ = static_cast<unsigned>(limit()());
      set()(0, 1);
    }
  }
  ~OneThread() {
    // The largest int stands for no limit.
    if (before_ != 0) set()(0, before_ == INT_MAX ? UINT_MAX : before_);
  }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  using Set = void (*)(unsigned teams, unsigned limit);
  using Limit = int (*)();
  static Set set() {
    static const auto found =
        reinterpret_cast<Set>(dlsym(RTLD_DEFAULT, "GOMP_teams"));
    return found;
  }
  static Limit limit() {
    static const auto found =
        reinterpret_cast<Limit>(dlsym(RTLD_DEFAULT, "omp_get_thread_limit"));
    return found;
  }

  unsigned before_ = 0;  ///< 0: nothing was set
};

/** The languages of which a folder has data, for errors. */
std::string languages_in(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(folder, none)) {
    if (entry.path().extension() == kDataEnding) {
      names.push_back(entry.path().stem().string());
    }
  }
  std::sort(names.begin(), names.end());
  return names.empty() ? "none" : join(names);
}

void check_languages(const std::string& who, const OcrSettings& settings) {
  for (const auto& file : settings.language_files()) {
    const std::string word = std::filesystem::path(file).stem().string();
    RSM_CHECK(is_file(file), "[", who, "] there is no file ", file,
              ", Tesseract's data of the language \"", word,
              "\"; the folder has those of: ", languages_in(settings.data),
              "; install them (Debian's tesseract-ocr-", word,
              ") or name the folder that has them as `data` in ocr.json");
  }
}

/** Tesseract's own words go nowhere: what matters is said by errors. */
void silence_tesseract() {
  static const bool done = TessBaseAPI().SetVariable("debug_file", "/dev/null");
  static_cast<void>(done);
}

std::unique_ptr<TessBaseAPI> new_reader(const std::string& who,
                                        const OcrSettings& settings) {
  static std::mutex making;  // some of its parameters are the process's
  const std::lock_guard lock(making);
  silence_tesseract();
  auto reader = std::make_unique<TessBaseAPI>();
  const int failed =
      reader->Init(settings.data.c_str(), settings.language.c_str(),
                   tesseract::OEM_LSTM_ONLY);
  RSM_CHECK(failed == 0, "[", who, "] Tesseract ", TessBaseAPI::Version(),
            " cannot read ", join(settings.language_files()),
            "; data of its LSTM networks are needed: copy again what may be "
            "cut short");
  reader->SetPageSegMode(tesseract::PSM_SPARSE_TEXT);
  return reader;
}

/** The lines that it is sure of, of a picture [H,W,3] of bytes. */
std::string lines_read(const std::string& who, TessBaseAPI& reader,
                       const torch::Tensor& pixels, double confidence) {
  const auto height = static_cast<int>(pixels.size(0));
  const auto width = static_cast<int>(pixels.size(1));
  // Or it would know words of the pictures before.
  reader.ClearAdaptiveClassifier();
  reader.SetImage(pixels.const_data_ptr<uint8_t>(), width, height, kChannels,
                  kChannels * width);
  reader.SetSourceResolution(kResolution);
  RSM_CHECK(reader.Recognize(nullptr) == 0, "[", who,
            "] Tesseract fails at a picture of ", height, " x ", width,
            " pixels; use \"pp-ocr\" for it, or smaller ones");
  std::string text;
  const std::unique_ptr<tesseract::ResultIterator> at(reader.GetIterator());
  constexpr auto kLine = tesseract::RIL_TEXTLINE;
  if (at && !at->Empty(kLine)) {
    do {
      const std::unique_ptr<const char[]> line(at->GetUTF8Text(kLine));
      if (line && at->Confidence(kLine) >= kPercent * confidence) {
        text += line.get();
      }
    } while (at->Next(kLine));
  }
  reader.Clear();
  std::erase(text, '\n');
  return text;
}

}  // namespace

/** Tesseracts, each of which reads one picture at a time: made when first
 * needed, as each holds the languages' data. */
class TesseractOcr::Readers {
 public:
  Readers(std::string who, const OcrSettings& settings, int64_t most)
      : who_(std::move(who)), settings_(settings), left_(most - 1) {
    free_.push_back(new_reader(who_, settings_));
  }

  /** What `use` gives of one that nobody else has meanwhile. */
  template <typename Use>
  std::string with_one(const Use& use) {
    Loan loan(*this);
    return use(*loan.reader);
  }

 private:
  struct Loan {
    explicit Loan(Readers& readers) : from(readers), reader(from.take()) {}
    ~Loan() { from.give_back(std::move(reader)); }
    Loan(const Loan&) = delete;
    Loan& operator=(const Loan&) = delete;

    Readers& from;
    std::unique_ptr<TessBaseAPI> reader;
  };

  std::unique_ptr<TessBaseAPI> take() {
    std::unique_lock lock(mutex_);
    returned_.wait(lock, [&] { return !free_.empty() || left_ > 0; });
    if (free_.empty()) {
      auto reader = new_reader(who_, settings_);
      --left_;
      return reader;
    }
    auto reader = std::move(free_.back());
    free_.pop_back();
    return reader;
  }

  void give_back(std::unique_ptr<TessBaseAPI> reader) {
    {
      const std::lock_guard lock(mutex_);
      free_.push_back(std::move(reader));
    }
    returned_.notify_one();
  }

  std::string who_;
  const OcrSettings& settings_;
  std::mutex mutex_;
  std::condition_variable returned_;
  std::vector<std::unique_ptr<TessBaseAPI>> free_;
  int64_t left_;  ///< that may still be made
};

bool has_tesseract() { return true; }

TesseractOcr::TesseractOcr(std::string who, OcrSettings settings,
                           int64_t threads)
    : who_(std::move(who)), settings_(std::move(settings)) {
  check_languages(who_, settings_);
  readers_ =
      std::make_unique<Readers>(who_, settings_, std::max<int64_t>(threads, 1));
}

TesseractOcr::~TesseractOcr() = default;

std::string TesseractOcr::read(const torch::Tensor& picture) const {
  const torch::NoGradGuard no_grad;
  auto bytes = byte_values(picture.unsqueeze(0));
  const int64_t height = bytes.size(2), width = bytes.size(3);
  const double scale = static_cast<double>(settings_.side) /
                       static_cast<double>(std::min(height, width));
  if (scale > 1) {
    const auto scaled = [&](int64_t size) {
      return std::llround(static_cast<double>(size) * scale);
    };
    bytes = resized_bytes(bytes, scaled(height), scaled(width));
  }
  const auto pixels =
      bytes[0].to(at::kCPU, at::kByte).permute({1, 2, 0}).contiguous();
  const OneThread one_thread;
  return readers_->with_one([&](TessBaseAPI& reader) {
    return lines_read(who_, reader, pixels, settings_.confidence);
  });
}

void TesseractOcr::check() const {
  const auto pictures = pictures_to_try(kTriedSize, kTriedSize);
  for (int64_t i = 0; i < pictures.size(0); ++i) read(pictures[i]);
}

#endif

}  // namespace rsm
