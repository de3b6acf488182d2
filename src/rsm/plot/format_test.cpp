#include "rsm/plot/format.h"

#include <gtest/gtest.h>

#include <limits>

#include "rsm/plot/testing.h"

namespace rsm::report {
namespace {

TEST(Format, FixedNumbersHaveNoNegativeZero) {
  EXPECT_EQ(format_fixed(0.41249, 3), "0.412");
  EXPECT_EQ(format_fixed(-0.0001, 3), "0.000");
  EXPECT_EQ(format_fixed(-2, 0), "-2");
  EXPECT_EQ(format_fixed(kNan, 3), "n/a");
}

TEST(Format, SignedNumbersAlwaysHaveASign) {
  EXPECT_EQ(format_signed(0.191, 3), "+0.191");
  EXPECT_EQ(format_signed(-0.02, 3), "-0.020");
  EXPECT_EQ(format_signed(-0.0001, 3), "+0.000");
  EXPECT_EQ(format_signed(kNan, 3), "n/a");
}

TEST(Format, ShortNumbersKeepThreeDigits) {
  EXPECT_EQ(format_short(0.01234), "0.0123");
  EXPECT_EQ(format_short(1.5), "1.5");
  EXPECT_EQ(format_short(12345), "12345");
  EXPECT_EQ(format_short(0.000042), "4.2e-5");
  EXPECT_EQ(format_short(-3e-4), "-3e-4");
  EXPECT_EQ(format_short(1e100), "1e100");
  EXPECT_EQ(format_short(0), "0");
  EXPECT_EQ(format_short(100), "100");
  EXPECT_EQ(format_short(kNan), "n/a");
}

TEST(Format, DigitsAreThoseOfPrintf) {
  EXPECT_EQ(format_digits(1.0 / 3, 8), "0.33333333");
  EXPECT_EQ(format_digits(100, 2), "1e+02");
  EXPECT_EQ(format_digits(-2.5e-7, 12), "-2.5e-07");
  EXPECT_EQ(format_digits(0, 2), "0");
  EXPECT_EQ(format_digits(kNan, 8), "");
  EXPECT_EQ(format_digits(-std::numeric_limits<double>::infinity(), 8), "");
}

TEST(Format, CountsAreGroupedByThousands) {
  EXPECT_EQ(format_count(640), "640");
  EXPECT_EQ(format_count(12288), "12,288");
  EXPECT_EQ(format_count(-1234567), "-1,234,567");
}

TEST(Format, DurationsUseTwoUnits) {
  EXPECT_EQ(format_duration(0.42), "0.4 s");
  EXPECT_EQ(format_duration(59.6), "1 min 00 s");
  EXPECT_EQ(format_duration(432), "7 min 12 s");
  EXPECT_EQ(format_duration(3900), "1 h 05 min");
  EXPECT_EQ(format_duration(51 * 3600), "2 d 3 h");
  EXPECT_EQ(format_duration(kNan), "n/a");
  EXPECT_EQ(format_duration(-1), "n/a");
}

TEST(Format, PlainSignsAreAscii) {
  EXPECT_EQ(plain_signs("0.1 → 0.3 ± 0.1 (1–2), 2×"),
            "0.1 -> 0.3 +- 0.1 (1 - 2), 2x");
}

TEST(Format, EscapedTextHasNoMarkup) {
  EXPECT_EQ(escape_html("<a href=\"x\">'&'</a>"),
            "&lt;a href=&quot;x&quot;&gt;&#39;&amp;&#39;&lt;/a&gt;");
  EXPECT_EQ(escape_html(std::string("a\0b\x1b", 4)),
            "a\xef\xbf\xbd"
            "b\xef\xbf\xbd");
  EXPECT_EQ(escape_html("line\n\tnext"), "line\n\tnext");
}

}  // namespace
}  // namespace rsm::report
