#include "rsm/base/communicator.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "rsm/base/error.h"
#include "rsm/base/ranks_testing.h"
#include "rsm/io/testing.h"

namespace rsm {
namespace {

TEST(Share, IsEachThingOnceAndEvenUpToOne) {
  for (const int64_t count : {0, 1, 5, 12, 13}) {
    for (const int64_t size : {1, 2, 4, 7}) {
      int64_t next = 0, least = count, most = 0;
      for (int64_t r = 0; r < size; ++r) {
        const auto share = share_of(count, r, size);
        EXPECT_EQ(share.first, next);
        next = share.last;
        least = std::min(least, share.count());
        most = std::max(most, share.count());
      }
      EXPECT_EQ(next, count);
      EXPECT_LE(most - least, 1);
    }
  }
}

TEST(Communicator, OfASoleProcessGivesBackWhatCame) {
  Communicator sole;
  EXPECT_TRUE(sole.is_sole());
  EXPECT_TRUE(sole.is_first());
  EXPECT_EQ(sole.gather(std::vector<double>{1, 2}),
            (std::vector<double>{1, 2}));
  EXPECT_EQ(sole.gather(std::string("a")), std::vector<std::string>{"a"});
  EXPECT_TRUE(sole.any(true));
  EXPECT_FALSE(sole.any(false));
  EXPECT_EQ(sole.sum(3), 3);
  EXPECT_EQ(sole.first_says(std::string("here")), "here");
  sole.check_same("number", "5");
  auto all = at::arange(6);
  sole.gather_parts(all, 3);
  EXPECT_TRUE(at::equal(all, at::arange(6)));
  const auto share = sole.share_of(5);
  EXPECT_EQ(share.first, 0);
  EXPECT_EQ(share.last, 5);
  expect_parts(error_of([&] { sole.send(all, 1); }), {"[ranks]", "sole"});
}

TEST(Communicator, GathersInTheOrderOfTheRanks) {
  ThreadRanks::run(3, [](Communicator& ranks) {
    const auto own = static_cast<double>(ranks.rank());
    EXPECT_EQ(ranks.gather(std::vector<double>{own, own + 10}),
              (std::vector<double>{0, 10, 1, 11, 2, 12}));
    EXPECT_TRUE(ranks.any(ranks.rank() == 2));
    EXPECT_FALSE(ranks.any(false));
    EXPECT_EQ(ranks.sum(own), 3);
    EXPECT_EQ(ranks.first_says(own), 0);
  });
}

TEST(Communicator, FillsTheRowsOfOthers) {
  // Of 5 parts of 2 rows, the first is everybody's.
  ThreadRanks::run(3, [](Communicator& ranks) {
    const auto whole = at::arange(20, at::kFloat).view({10, 2});
    auto all = at::full({10, 2}, -1, at::kFloat);
    all.slice(0, 0, 2).copy_(whole.slice(0, 0, 2));
    const auto own = ranks.share_of(4);
    const int64_t first = 2 + 2 * own.first, last = 2 + 2 * own.last;
    all.slice(0, first, last).copy_(whole.slice(0, first, last));
    ranks.gather_parts(all, 5, 1);
    EXPECT_TRUE(at::equal(all, whole));
  });
}

TEST(Communicator, NamesTheRankThatDisagrees) {
  ThreadRanks::run(3, [](Communicator& ranks) {
    expect_parts(error_of([&] {
                   ranks.check_same("the answer",
                                    ranks.rank() == 2 ? "41" : "42");
                 }),
                 {"[ranks]", "the answer", "rank 2", "41", "rank 0", "42"});
  });
}

/** Numbers whose sum depends on the order in its last bits. */
std::vector<torch::Tensor> uneven_parts(int64_t count, int64_t length) {
  std::vector<torch::Tensor> out;
  for (int64_t i = 0; i < count; ++i) {
    out.push_back(at::sin(at::arange(length, at::kFloat) * (i + 1.7)) *
                  std::pow(10, i % 5 - 2));
  }
  return out;
}

TEST(SumInOrder, HasTheBitsOfASoleProcess) {
  constexpr int64_t kLength = (int64_t{1} << 20) + 77;  // two pieces
  const auto parts = uneven_parts(7, kLength);
  auto whole = parts[0].clone();
  for (size_t i = 1; i < parts.size(); ++i) whole += parts[i];
  auto backwards = parts[6].clone();
  for (size_t i = 6; i-- > 0;) backwards += parts[i];
  ASSERT_FALSE(at::equal(whole, backwards));
  for (const int64_t size : {1, 2, 4}) {
    for (const int64_t most : {1, 2, 7}) {
      ThreadRanks::run(size, [&](Communicator& ranks) {
        torch::Tensor sum;
        int64_t done = 0;
        for (int64_t round = 0; done < 7; ++round) {
          std::vector<int64_t> counts;
          std::vector<torch::Tensor> own;
          for (int64_t r = 0; r < size; ++r) {
            counts.push_back(std::min<int64_t>(most, 7 - done));
            for (int64_t i = done; i < done + counts[r]; ++i) {
              if (r == ranks.rank()) own.push_back(parts[i].clone());
            }
            done += counts[r];
          }
          sum = sum_in_order(ranks, round, sum, own, counts);
        }
        const auto held = ranks.gather(std::string(sum.defined() ? "1" : "0"));
        EXPECT_EQ(std::count(held.begin(), held.end(), "1"), 1);
        if (sum.defined()) {
          EXPECT_TRUE(at::equal(sum, whole));
        }
      });
    }
  }
}

TEST(JoinRanks, WithoutALauncherIsASoleProcess) {
  EXPECT_EQ(launched_processes(), 1);
  EXPECT_TRUE(join_ranks()->is_sole());
  // A batch script has it, though it is one process itself.
  ::setenv("SLURM_NTASKS", "4", 1);
  EXPECT_EQ(launched_processes(), 1);
  ::unsetenv("SLURM_NTASKS");
  ::setenv("SLURM_STEP_NUM_TASKS", "4", 1);
  EXPECT_EQ(launched_processes(), 4);
  expect_parts(error_of([] { check_sole_process("[who]", ", or rest"); }),
               {"[who]", "4 processes", "start one, or rest"});
  ::unsetenv("SLURM_STEP_NUM_TASKS");
  check_sole_process("[who]", "");
}

}  // namespace
}  // namespace rsm
