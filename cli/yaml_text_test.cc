#include "cli/yaml_text.h"

#include "gtest/gtest.h"

namespace fsd::cli {
namespace {

TEST(YamlDocument, IsInBlockStyleAndKeepsTheOrder) {
  EXPECT_EQ(
      YamlDocument(R"({"name":"exports/web","cache":{"writeback":false,"mode":432},"l":[1,"a"]})"),
      "name: exports/web\n"
      "cache:\n"
      "  writeback: false\n"
      "  mode: 432\n"
      "l:\n"
      "  - 1\n"
      "  - a\n");
}

TEST(YamlDocument, QuotesStringsThatCouldBeAnythingElse) {
  EXPECT_EQ(YamlDocument(R"({"a":"1","b":"yes","c":"NULL","d":"","e":"1.5s","f":"x: y","on":"~"})"),
            "a: \"1\"\n"
            "b: \"yes\"\n"
            "c: \"NULL\"\n"
            "d: \"\"\n"
            "e: \"1.5s\"\n"
            "f: \"x: y\"\n"
            "\"on\": \"~\"\n");
}

TEST(YamlDocument, EscapesWhatATerminalWouldActOn) {
  EXPECT_EQ(YamlDocument(R"({"a":"\u001b[1m\n<\u003c"})"), "a: \"\\x1b[1m\\n<<\"\n");
}

TEST(YamlDocument, HasAFormForNothing) {
  EXPECT_EQ(YamlDocument("{}"), "{}\n");
  EXPECT_EQ(YamlDocument(R"({"a":[],"b":null})"), "a: []\nb: ~\n");
}

}  // namespace
}  // namespace fsd::cli
