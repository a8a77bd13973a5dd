#include "cli/xattr_map_syntax.h"

#include <array>
#include <optional>
#include <utility>

#include "cli/printable.h"

namespace fsd::cli {
namespace {

constexpr std::string_view kWhiteSpace = " \t\n\v\f\r";

struct TypeName {
  std::string_view name;
  v1::XattrRule::Type type;
};
constexpr std::array<TypeName, 5> kTypes = {{{"prefix", v1::XattrRule::PREFIX},
                                             {"ok", v1::XattrRule::OK},
                                             {"bad", v1::XattrRule::BAD},
                                             {"unsupported", v1::XattrRule::UNSUPPORTED},
                                             {"map", v1::XattrRule::MAP}}};

struct ScopeName {
  std::string_view name;
  v1::XattrRule::Scope scope;
};
constexpr std::array<ScopeName, 3> kScopes = {{{"client", v1::XattrRule::CLIENT},
                                               {"server", v1::XattrRule::SERVER},
                                               {"all", v1::XattrRule::ALL}}};

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  // Empty if all went well.
  std::string Parse(XattrRules& rules) {
    SkipWhiteSpace();
    if (AtEnd()) return "there is no rule in it";
    while (error_.empty() && !AtEnd()) {
      if (rule_ > 0 && rules.Get(rule_ - 1).type() == v1::XattrRule::MAP) {
        Fail(place_, "nothing may follow a map rule");
        break;
      }
      ++rule_;
      ParseRule(*rules.Add());
      SkipWhiteSpace();
    }
    return error_;
  }

 private:
  bool AtEnd() const { return place_ == text_.size(); }

  void SkipWhiteSpace() {
    place_ = std::min(text_.find_first_not_of(kWhiteSpace, place_), text_.size());
  }

  void ParseRule(v1::XattrRule& rule) {
    separator_ = text_[place_++];
    if (!ParseType(rule)) return;
    if (rule.type() != v1::XattrRule::MAP && !ParseScope(rule)) return;
    const auto key = TakeField("the key");
    if (!key) return;
    rule.set_key(std::string(*key));
    const auto prepend = TakeField("what to prepend");
    if (!prepend) return;
    rule.set_prepend(std::string(*prepend));
  }

  bool ParseType(v1::XattrRule& rule) {
    const size_t begin = place_;
    const auto name = TakeField("the type");
    if (!name) return false;
    for (const TypeName& known : kTypes) {
      if (known.name == *name) rule.set_type(known.type);
    }
    return rule.type() != v1::XattrRule::TYPE_UNSPECIFIED ||
           Fail(begin,
                "expected prefix, ok, bad, unsupported or map, not '" + Printable(*name) + "'");
  }

  bool ParseScope(v1::XattrRule& rule) {
    const size_t begin = place_;
    const auto name = TakeField("the scope");
    if (!name) return false;
    for (const ScopeName& known : kScopes) {
      if (known.name == *name) rule.set_scope(known.scope);
    }
    return rule.scope() != v1::XattrRule::SCOPE_UNSPECIFIED ||
           Fail(begin, "expected client, server or all, not '" + Printable(*name) + "'");
  }

  // What stands before the next separator, which is taken too.
  std::optional<std::string_view> TakeField(const std::string& what) {
    const size_t end = text_.find(separator_, place_);
    if (end == std::string_view::npos) {
      Fail(text_.size(), "expected '" + Printable({&separator_, 1}) + "' after " + what);
      return std::nullopt;
    }
    const std::string_view field = text_.substr(place_, end - place_);
    place_ = end + 1;
    return field;
  }

  bool Fail(size_t place, const std::string& problem) {
    error_ = "at character " + std::to_string(place + 1) + ", in rule " + std::to_string(rule_) +
             ": " + problem;
    return false;
  }

  const std::string_view text_;
  size_t place_ = 0;
  int rule_ = 0;  // counted from 1, for messages
  char separator_ = ':';
  std::string error_;
};

// The first of these that is in no name; virtiofsd's users know ':' and '/'.
char SeparatorFor(const v1::XattrRule& rule) {
  constexpr std::string_view kSeparators = ":/|,;!#%+=~^@&?*$";
  const size_t unused = [&] {
    for (size_t i = 0; i < kSeparators.size(); ++i) {
      if (rule.key().find(kSeparators[i]) == std::string::npos &&
          rule.prepend().find(kSeparators[i]) == std::string::npos) {
        return i;
      }
    }
    return size_t{0};
  }();
  return kSeparators[unused];
}

std::string RuleText(const v1::XattrRule& rule) {
  std::string_view type = "unknown";  // of a newer server
  for (const TypeName& known : kTypes) {
    if (known.type == rule.type()) type = known.name;
  }
  std::string_view scope = "all";
  for (const ScopeName& known : kScopes) {
    if (known.scope == rule.scope()) scope = known.name;
  }
  const char separator = SeparatorFor(rule);
  std::string text(1, separator);
  const auto add = [&](std::string_view field) { text.append(field).append(1, separator); };
  add(type);
  if (rule.type() != v1::XattrRule::MAP) add(scope);
  add(rule.key());
  add(rule.prepend());
  return text;
}

}  // namespace

std::string ParseXattrMap(std::string_view text, XattrRules& rules) {
  return Parser(text).Parse(rules);
}

std::string XattrMapText(const XattrRules& rules) {
  std::string text;
  for (const v1::XattrRule& rule : rules) {
    if (!text.empty()) text += ' ';
    text += RuleText(rule);
  }
  return text;
}

}  // namespace fsd::cli
