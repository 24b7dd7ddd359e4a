#include "model/chat/ordered_json.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"

namespace facet {
namespace {

// Builds the value, and stops at the first thing that is wrong. Appends members without looking
// for their key first, as the library's own builder would: it would be quadratic.
class Builder : public nlohmann::json_sax<OrderedJson> {
 public:
  explicit Builder(int max_depth) : max_depth_(max_depth) {}

  bool null() override { return Put(nullptr) != nullptr; }
  bool boolean(bool value) override { return Put(value) != nullptr; }
  bool number_integer(number_integer_t value) override { return Put(value) != nullptr; }
  bool number_unsigned(number_unsigned_t value) override { return Put(value) != nullptr; }
  bool number_float(number_float_t value, const string_t& digits) override {
    if (digits.find_first_of(".eE") != string_t::npos) return Put(value) != nullptr;
    return Put(OrderedJson::binary({digits.begin(), digits.end()}, kBigIntegerSubtype)) != nullptr;
  }
  bool string(string_t& value) override { return Put(std::move(value)) != nullptr; }
  bool binary(binary_t&) override { return false; }  // not in JSON text

  bool start_object(size_t) override {
    keys_.emplace_back();
    return Open(OrderedJson::object());
  }
  bool start_array(size_t) override {
    keys_.emplace_back();
    return Open(OrderedJson::array());
  }
  bool key(string_t& value) override {
    if (!keys_.back().insert(value).second) {
      return Fail(absl::StrCat("JSON key ", facet::Excerpt(nlohmann::json(value)),
                               " occurs twice in one object"));
    }
    key_ = std::move(value);
    return true;
  }
  bool end_object() override { return Close(); }
  bool end_array() override { return Close(); }

  bool parse_error(size_t, const std::string&, const nlohmann::detail::exception& e) override {
    return Fail(absl::StrCat("not valid JSON: ", e.what()));
  }

  OrderedJson root;
  std::string problem;

 private:
  bool Fail(std::string what) {
    if (problem.empty()) problem = std::move(what);
    return false;
  }
  // Where the value stands from now on; stays valid until the container around it grows.
  OrderedJson* Put(OrderedJson value) {
    if (open_.empty()) {
      root = std::move(value);
      return &root;
    }
    OrderedJson& container = *open_.back();
    if (container.is_array()) {
      container.push_back(std::move(value));
      return &container.back();
    }
    auto& members = container.get_ref<OrderedJson::object_t&>();
    members.emplace_back(std::move(key_), std::move(value));
    return &members.back().second;
  }
  bool Open(OrderedJson container) {
    if (static_cast<int>(open_.size()) == max_depth_) {
      return Fail(absl::StrCat("JSON nested deeper than ", max_depth_, " levels"));
    }
    open_.push_back(Put(std::move(container)));
    return true;
  }
  bool Close() {
    open_.pop_back();
    keys_.pop_back();
    return true;
  }

  const int max_depth_;
  std::vector<OrderedJson*> open_;
  std::vector<absl::flat_hash_set<std::string>> keys_;  // of each open container
  std::string key_;
};

}  // namespace

absl::StatusOr<OrderedJson> ParseOrderedJson(absl::string_view text, const JsonLimits& limits) {
  if (text.size() > limits.max_bytes) {
    return absl::InvalidArgumentError(absl::StrCat("JSON of ", text.size(), " bytes, at most ",
                                                   limits.max_bytes, " are accepted"));
  }
  if (text.find('\0') != text.npos) {  // the parser would take it for the end
    return absl::InvalidArgumentError("not valid JSON: there is a zero byte in it");
  }
  Builder builder(limits.max_depth);
  if (!OrderedJson::sax_parse(text.begin(), text.end(), &builder)) {
    return absl::InvalidArgumentError(builder.problem);
  }
  return std::move(builder.root);
}

const OrderedJson* FindMember(const OrderedJson& object, absl::string_view key) {
  if (!object.is_object()) return nullptr;
  for (const auto& [name, value] : object.get_ref<const OrderedJson::object_t&>()) {
    if (name == key) return value.is_null() ? nullptr : &value;
  }
  return nullptr;
}

std::string Excerpt(const OrderedJson& value) {
  if (value.is_object()) return absl::StrCat("an object of ", value.size(), " members");
  if (value.is_array()) return absl::StrCat("a list of ", value.size(), " values");
  if (value.is_binary()) return std::string(value.get_binary().begin(), value.get_binary().end());
  return Excerpt(nlohmann::json(value));
}

}  // namespace facet
