#pragma once

#include <array>
#include <vector>

namespace rsm {

/** In pixels, from the centre of the left upper one. */
struct Point {
  double x = 0, y = 0;
};

/** Left upper, right upper, right lower, left lower, as text is read: of the
 * two corners farthest to the left, and of the other two, the upper one comes
 * first. */
using Quad = std::array<Point, 4>;

/** A rectangle in any direction. */
struct Rectangle {
  Point centre;
  Point along = {1, 0};          ///< unit vector of its width
  double width = 0, height = 0;  ///< >= 0

  Quad corners() const;
  /** Whether a point lies within, or outside by `slack` at most. */
  bool holds(const Point& point, double slack) const;
  /** The same with sides farther out by `distance` each. */
  Rectangle grown(double distance) const;
};

/** The smallest by area that holds all points, one at least: along a side of
 * their convex hull, as the smallest one has to be. */
Rectangle smallest_rectangle(std::vector<Point> points);

}  // namespace rsm
