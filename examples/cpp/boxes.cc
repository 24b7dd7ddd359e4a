#include "examples/cpp/boxes.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <tuple>

#include "nlohmann/json.hpp"

namespace facet::examples {
namespace {

using Json = nlohmann::json;

constexpr double kSide = 1000;
constexpr int kMostLabelCharacters = 60;
constexpr size_t kMostObjectBytes = 4096;  // of a box; keeps hopeless text cheap

// One past the brace that closes the object at the beginning of `text`; npos: it is not closed.
size_t EndOfObject(absl::string_view text) {
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < std::min(text.size(), kMostObjectBytes); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{') {
      ++depth;
    } else if (c == '}' && --depth == 0) {
      return i + 1;
    }
  }
  return absl::string_view::npos;
}

std::optional<Box> ToBox(const Json& value) {
  if (!value.is_object() || !value.contains("box_2d")) return std::nullopt;
  const Json& corners = value["box_2d"];
  if (!corners.is_array() || corners.size() != 4) return std::nullopt;
  double at[4];
  for (size_t i = 0; i < 4; ++i) {
    if (!corners[i].is_number()) return std::nullopt;
    at[i] = std::clamp(corners[i].get<double>(), 0.0, kSide);
  }
  Box box;
  std::tie(box.y_min, box.y_max) = std::minmax({at[0], at[2]});
  std::tie(box.x_min, box.x_max) = std::minmax({at[1], at[3]});
  if (box.y_min == box.y_max || box.x_min == box.x_max) return std::nullopt;
  const auto label = value.find("label");
  if (label != value.end()) {
    box.label = label->is_string() ? label->get<std::string>() : label->dump();
  }
  return box;
}

int Scaled(double thousandths, int side) {
  return static_cast<int>(std::lround(thousandths * side / kSide));
}

}  // namespace

PixelBox Box::Pixels(int width, int height) const {
  return {Scaled(x_min, width), Scaled(y_min, height), Scaled(x_max, width), Scaled(y_max, height)};
}

std::string BoxSchema(const std::vector<std::string>& labels, int least, int most) {
  const Json label = labels.empty() ? Json{{"type", "string"}, {"maxLength", kMostLabelCharacters}}
                                    : Json{{"enum", labels}};
  const Json corner = {{"type", "integer"}, {"minimum", 0}, {"maximum", kSide}};
  const Json corners = {{"type", "array"}, {"items", corner}, {"minItems", 4}, {"maxItems", 4}};
  const Json box = {{"type", "object"},
                    {"properties", {{"box_2d", corners}, {"label", label}}},
                    {"required", {"box_2d", "label"}},
                    {"additionalProperties", false}};
  return Json{{"type", "array"}, {"items", box}, {"minItems", least}, {"maxItems", most}}.dump();
}

std::vector<Box> ParseBoxes(absl::string_view answer) {
  std::vector<Box> found;
  size_t begin = answer.find('{');
  while (begin != absl::string_view::npos) {
    const absl::string_view rest = answer.substr(begin);
    const size_t size = EndOfObject(rest);
    std::optional<Box> box;
    if (size != absl::string_view::npos) {
      const absl::string_view object = rest.substr(0, size);
      box = ToBox(Json::parse(object.begin(), object.end(), nullptr, /*allow_exceptions=*/false));
    }
    if (box.has_value()) found.push_back(*box);
    begin = answer.find('{', begin + (box.has_value() ? size : 1));  // inside what is none
  }
  return found;
}

}  // namespace facet::examples
