#include "server/control/filter_expression.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "server/errors/status_macros.h"

namespace fsd::control {
namespace {

using Kind = FilterExpression::Kind;
using Operator = FilterComparison::Operator;

// Of parentheses and NOTs within each other; each takes a few frames of a thread's stack.
constexpr int kMaxDepth = 32;

bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool IsSegmentCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-';
}
bool EndsBareValue(char c) {
  return IsSpace(c) || c == '(' || c == ')' || c == '"' || c == '=' || c == '!' || c == ':' ||
         c == '<' || c == '>' || c == ',';
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  absl::StatusOr<FilterExpression> Whole() {
    FSD_ASSIGN_OR_RETURN(FilterExpression expression, Expression(0));
    SkipSpace();
    if (!AtEnd()) return Error("expected AND, OR or the end");
    return expression;
  }

 private:
  absl::StatusOr<FilterExpression> Expression(int depth) {
    return Chain(Kind::kAnd, "AND", [this, depth] { return Factor(depth); });
  }
  absl::StatusOr<FilterExpression> Factor(int depth) {
    return Chain(Kind::kOr, "OR", [this, depth] { return Term(depth); });
  }

  template <typename Operand>
  absl::StatusOr<FilterExpression> Chain(Kind kind, std::string_view keyword, Operand operand) {
    FSD_ASSIGN_OR_RETURN(FilterExpression first, operand());
    if (!TakeKeyword(keyword)) return first;
    FilterExpression chain{.kind = kind, .operands = {}, .comparison = {}};
    chain.operands.push_back(std::move(first));
    do {
      FSD_ASSIGN_OR_RETURN(FilterExpression next, operand());
      chain.operands.push_back(std::move(next));
    } while (TakeKeyword(keyword));
    return chain;
  }

  absl::StatusOr<FilterExpression> Term(int depth) {
    if (depth > kMaxDepth) return Error("nested too deeply");
    if (TakeKeyword("NOT") || Take('-')) {
      FSD_ASSIGN_OR_RETURN(FilterExpression operand, Term(depth + 1));
      FilterExpression negation{.kind = Kind::kNot, .operands = {}, .comparison = {}};
      negation.operands.push_back(std::move(operand));
      return negation;
    }
    if (!Take('(')) return Comparison();
    FSD_ASSIGN_OR_RETURN(FilterExpression inner, Expression(depth + 1));
    if (!Take(')')) return Error("expected AND, OR or ')'");
    return inner;
  }

  absl::StatusOr<FilterExpression> Comparison() {
    SkipSpace();
    FilterExpression expression;
    FilterComparison& comparison = expression.comparison;
    comparison.path_at = at_;
    do {
      FSD_ASSIGN_OR_RETURN(std::string segment, Segment());
      comparison.path.push_back(std::move(segment));
    } while (!AtEnd() && text_[at_] == '.' && ++at_ > 0);
    FSD_ASSIGN_OR_RETURN(comparison.op, TakeOperator());
    SkipSpace();
    comparison.value_at = at_;
    FSD_ASSIGN_OR_RETURN(comparison.value, Value());
    return expression;
  }

  absl::StatusOr<std::string> Segment() {
    if (!AtEnd() && text_[at_] == '"') return Quoted();
    const size_t begin = at_;
    while (!AtEnd() && IsSegmentCharacter(text_[at_])) ++at_;
    if (at_ == begin) return Error("expected a field");
    return std::string(text_.substr(begin, at_ - begin));
  }

  absl::StatusOr<std::string> Value() {
    if (!AtEnd() && text_[at_] == '"') return Quoted();
    const size_t begin = at_;
    while (!AtEnd() && !EndsBareValue(text_[at_])) ++at_;
    if (at_ == begin) return Error("expected a value; write the empty one as \"\"");
    return std::string(text_.substr(begin, at_ - begin));
  }

  absl::StatusOr<std::string> Quoted() {
    const size_t begin = at_++;
    std::string content;
    for (; !AtEnd() && text_[at_] != '"'; ++at_) {
      if (text_[at_] == '\\') {
        const bool escapes =
            at_ + 1 < text_.size() && (text_[at_ + 1] == '"' || text_[at_ + 1] == '\\');
        if (!escapes) return Error("a \\ stands before \" or \\ only; write it as \\\\");
        ++at_;
      }
      content += text_[at_];
    }
    if (AtEnd()) return FilterError(begin, "the quote is not closed");
    ++at_;
    return content;
  }

  absl::StatusOr<Operator> TakeOperator() {
    if (Take('=')) return Operator::kEquals;
    if (Take(':')) return Operator::kHas;
    if (text_.substr(at_).starts_with("!=")) {
      at_ += 2;
      return Operator::kNotEquals;
    }
    return Error("expected =, != or :");
  }

  bool Take(char wanted) {
    SkipSpace();
    if (AtEnd() || text_[at_] != wanted) return false;
    ++at_;
    return true;
  }

  // A word of its own: "ANDROID" holds no AND.
  bool TakeKeyword(std::string_view keyword) {
    SkipSpace();
    const std::string_view rest = text_.substr(at_);
    if (!rest.starts_with(keyword)) return false;
    if (rest.size() > keyword.size()) {
      const char next = rest[keyword.size()];
      if (!IsSpace(next) && next != '(' && next != '"') return false;
    }
    at_ += keyword.size();
    return true;
  }

  void SkipSpace() {
    while (!AtEnd() && IsSpace(text_[at_])) ++at_;
  }
  bool AtEnd() const { return at_ == text_.size(); }
  absl::Status Error(std::string_view what) const { return FilterError(at_, what); }

  const std::string_view text_;
  size_t at_ = 0;
};

}  // namespace

absl::Status FilterError(size_t offset, std::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("at character ", offset + 1, ": ", Absl(what)));
}

absl::StatusOr<FilterExpression> ParseFilterExpression(std::string_view text) {
  return Parser(text).Whole();
}

}  // namespace fsd::control
