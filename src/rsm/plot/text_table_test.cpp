#include "rsm/plot/text_table.h"

#include <gtest/gtest.h>

#include "rsm/io/testing.h"
#include "rsm/plot/markup_testing.h"

namespace rsm::report {
namespace {

const TextTable kTable = {{"name", "a"}, {{"x<y", "1 ± 2"}, {"\"z\", 3", "4"}}};

TEST(TextTable, LinesUpForTheTerminal) {
  EXPECT_EQ(table_text(kTable),
            "name         a\n"
            "x<y     1 +- 2\n"
            "\"z\", 3       4\n\n");
  EXPECT_EQ(table_text({{"name"}, {}}), "");
}

TEST(TextTable, IsEscapedInAPage) {
  const auto page = table_html(kTable, {"<i>-</i>"});
  EXPECT_EQ(tag_problem(page), "");
  expect_parts(page, {"<th scope=\"row\"><i>-</i>x&lt;y</th><td>1 ± 2</td>",
                      "<th scope=\"col\">a</th>"});
  const auto list = table_html({{}, kTable.rows});
  EXPECT_EQ(tag_problem(list), "");
  EXPECT_EQ(list.find("<thead"), std::string::npos);
  EXPECT_EQ(table_html({{"name"}, {}}), "");
}

TEST(TextTable, IsQuotedInCsv) {
  EXPECT_EQ(table_csv(kTable), "name,a\nx<y,1 ± 2\n\"\"\"z\"\", 3\",4\n");
}

}  // namespace
}  // namespace rsm::report
