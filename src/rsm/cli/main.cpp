#include <poll.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <exception>
#include <iostream>
#include <sstream>

#include "rsm/base/error.h"
#include "rsm/cli/commands.h"

namespace {

/** Lists subcommands by the first line of their descriptions; the examples
 * stand in each one's own --help. */
class ShortList : public CLI::Formatter {
 public:
  std::string make_subcommand(const CLI::App* sub) const override {
    const std::string text = sub->get_description();
    std::ostringstream out;
    CLI::detail::format_help(out, sub->get_display_name(true),
                             text.substr(0, text.find('\n')), kColumn);
    return out.str();
  }

 private:
  static constexpr size_t kColumn = 12;
};

/** Whether standard output is a pipe that nobody reads any more; errno may be
 * that of a write long ago. */
bool reader_is_gone() {
  pollfd out = {STDOUT_FILENO, POLLOUT, 0};
  return ::poll(&out, 1, 0) == 1 && (out.revents & POLLERR) != 0;
}

/** The status of a command, or that of failure where not all it printed went
 * out. */
int printed(int status) {
  errno = 0;
  std::cout.flush();
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0 && std::cout) {
    return status;
  }
  if (errno == EPIPE || reader_is_gone()) {
    // The reader has seen enough: an end without words, as of any filter.
    std::signal(SIGPIPE, SIG_DFL);
    std::raise(SIGPIPE);
  }
  std::fprintf(stderr, "rsm: [output] cannot write to standard output%s%s\n",
               errno == 0 ? "" : ": ", errno == 0 ? "" : std::strerror(errno));
  return status == rsm::kDone ? rsm::kFailed : status;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{
      "rsm fine-tunes text-to-image diffusion and flow models towards a "
      "reward.\n\n"
      "  rsm finetune configs/shapes/demo.yaml     a first run, with report\n"
      "  rsm methods                               what it can do\n"
      "  rsm sample models/shapes-flow \"a red circle\" -o circle.png\n\n"
      "Each command has examples: rsm COMMAND --help\n",
      "rsm"};
  app.formatter(std::make_shared<ShortList>());
  app.require_subcommand(1);
  app.set_version_flag("--version", "rsm " RSM_VERSION);
  rsm::Action action;
  rsm::add_finetune(app, action);
  rsm::add_check(app, action);
  rsm::add_sweep(app, action);
  rsm::add_compare(app, action);
  rsm::add_export(app, action);
  rsm::add_sample(app, action);
  rsm::add_evaluate(app, action);
  rsm::add_methods(app, action);
  rsm::add_analyze(app, action);
  rsm::add_verify(app, action);
  rsm::add_pretrain(app, action);
  // A reader that is gone, a judge or a terminal, is a failed write.
  std::signal(SIGPIPE, SIG_IGN);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return printed(app.exit(error) == 0 ? rsm::kDone : rsm::kUsage);
  }
  try {
    return printed(action());
  } catch (const rsm::UsageError& error) {
    std::fprintf(stderr, "rsm: %s\n", error.what());
    return rsm::kUsage;
  } catch (...) {
    std::fprintf(stderr, "rsm: %s\n", rsm::failure_text().c_str());
    return rsm::kFailed;
  }
}
