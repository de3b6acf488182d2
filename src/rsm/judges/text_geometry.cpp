#include "rsm/judges/text_geometry.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <utility>

namespace rsm {
namespace {

constexpr double kSameArea = 1e-9;  // square pixels: rounding

double dot(const Point& a, const Point& b) { return a.x * b.x + a.y * b.y; }

Point across(const Point& along) { return {-along.y, along.x}; }

double turn(const Point& a, const Point& b, const Point& c) {
  return (b.x - a.x) * (c.y - b.y) - (b.y - a.y) * (c.x - b.x);
}

/** The hull's lower chain of sorted points, without its last point; of points
 * in the reverse order the upper one. */
std::vector<Point> chain(const std::vector<Point>& points) {
  std::vector<Point> out;
  for (const auto& point : points) {
    while (out.size() > 1 &&
           turn(out[out.size() - 2], out.back(), point) <= 0) {
      out.pop_back();
    }
    out.push_back(point);
  }
  out.pop_back();
  return out;
}

std::vector<Point> hull(std::vector<Point> points) {
  const auto key = [](const Point& p) { return std::pair(p.x, p.y); };
  std::sort(points.begin(), points.end(),
            [&](const auto& a, const auto& b) { return key(a) < key(b); });
  points.erase(std::unique(points.begin(), points.end(),
                           [&](const auto& a, const auto& b) {
                             return key(a) == key(b);
                           }),
               points.end());
  if (points.size() < 3) return points;
  auto out = chain(points);
  std::reverse(points.begin(), points.end());
  const auto upper = chain(points);
  out.insert(out.end(), upper.begin(), upper.end());
  return out;
}

/** How far points reach in a direction: the middle and the length. */
std::pair<double, double> reach(const std::vector<Point>& points,
                                const Point& direction) {
  double least = std::numeric_limits<double>::infinity(), most = -least;
  for (const auto& point : points) {
    const double at = dot(point, direction);
    least = std::min(least, at);
    most = std::max(most, at);
  }
  return {(least + most) / 2, most - least};
}

Rectangle rectangle_along(const std::vector<Point>& points,
                          const Point& along) {
  const Point other = across(along);
  const auto [x, width] = reach(points, along);
  const auto [y, height] = reach(points, other);
  return {{x * along.x + y * other.x, x * along.y + y * other.y},
          along,
          width,
          height};
}

}  // namespace

Quad Rectangle::corners() const {
  const Point other = across(along);
  Quad out;
  for (size_t i = 0; i < out.size(); ++i) {
    const double u = (i == 0 || i == 3 ? -width : width) / 2;
    const double v = (i < 2 ? -height : height) / 2;
    out[i] = {centre.x + u * along.x + v * other.x,
              centre.y + u * along.y + v * other.y};
  }
  std::stable_sort(out.begin(), out.end(),
                   [](const auto& a, const auto& b) { return a.x < b.x; });
  if (out[1].y < out[0].y) std::swap(out[0], out[1]);
  if (out[3].y < out[2].y) std::swap(out[2], out[3]);
  return {out[0], out[2], out[3], out[1]};
}

bool Rectangle::holds(const Point& point, double slack) const {
  const Point from = {point.x - centre.x, point.y - centre.y};
  return std::abs(dot(from, along)) <= width / 2 + slack &&
         std::abs(dot(from, across(along))) <= height / 2 + slack;
}

Rectangle Rectangle::grown(double distance) const {
  return {centre, along, width + 2 * distance, height + 2 * distance};
}

Rectangle smallest_rectangle(std::vector<Point> points) {
  const auto corners = hull(std::move(points));
  Rectangle best = rectangle_along(corners, {1, 0});
  for (size_t i = 0; corners.size() > 1 && i < corners.size(); ++i) {
    const Point& from = corners[i];
    const Point& to = corners[(i + 1) % corners.size()];
    const double length = std::hypot(to.x - from.x, to.y - from.y);
    const auto found = rectangle_along(
        corners, {(to.x - from.x) / length, (to.y - from.y) / length});
    if (found.width * found.height < best.width * best.height - kSameArea) {
      best = found;
    }
  }
  return best;
}

}  // namespace rsm
