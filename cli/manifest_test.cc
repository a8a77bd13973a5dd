#include "cli/manifest.h"

#include <string>
#include <vector>

#include "cli/output.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fsd::cli {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

std::string ErrorOf(const std::string& text) {
  std::vector<v1::Export> exports;
  return ReadManifest(text, exports);
}

std::vector<v1::Export> Read(const std::string& text) {
  std::vector<v1::Export> exports;
  EXPECT_EQ(ReadManifest(text, exports), "");
  return exports;
}

TEST(ReadManifest, TakesYaml) {
  const auto exports = Read(R"(
name: web
source: {passthrough: {path: /srv/web}}
tag: "007"
socket:
  mode: 0o660
cache:
  policy: ALWAYS
  attrTimeout: 1.5s
  negative_timeout: "2s"
labels: {tier: front, zone: "1"}
readOnly: true
sandbox:
  limits: {memoryBytes: 1073741824, openFiles: "4096"}
)");

  ASSERT_THAT(exports, SizeIs(1));
  const v1::Export& web = exports[0];
  EXPECT_EQ(web.name(), "exports/web");
  EXPECT_EQ(web.source().passthrough().path(), "/srv/web");
  EXPECT_EQ(web.tag(), "007");
  EXPECT_EQ(web.socket().mode(), 0660u);
  EXPECT_EQ(web.cache().policy(), v1::Cache::ALWAYS);
  EXPECT_EQ(web.cache().attr_timeout().nanos(), 500'000'000);
  EXPECT_EQ(web.cache().negative_timeout().seconds(), 2);
  EXPECT_EQ(web.labels().at("zone"), "1");
  EXPECT_TRUE(web.read_only());
  EXPECT_EQ(web.sandbox().limits().memory_bytes(), 1u << 30);
  EXPECT_EQ(web.sandbox().limits().open_files(), 4096u);
}

TEST(ReadManifest, TakesJsonListsAndSeveralDocuments) {
  EXPECT_THAT(Read(R"({"name": "exports/a"})"), SizeIs(1));
  EXPECT_THAT(Read(R"({"exports": [{"name": "a"}, {"name": "b"}]})"), SizeIs(2));
  EXPECT_THAT(Read("---\nname: a\n---\n---\n- name: b\n- name: c\n"), SizeIs(3));
  EXPECT_THAT(Read(""), IsEmpty());
}

TEST(ReadManifest, ReadsWhatIsPrintedAndDropsWhatOnlyTheServerSets) {
  v1::Export resource;
  resource.set_name("exports/web");
  resource.set_tag("yes");
  (*resource.mutable_labels())["example.com/zone"] = "1.10";
  resource.mutable_socket()->set_mode(0600);
  resource.mutable_cache()->mutable_attr_timeout()->set_nanos(250'000'000);
  resource.mutable_ids()->add_uid_mount()->set_count(4'294'967'295);
  v1::Export printed = resource;
  printed.set_uid("1");
  printed.set_etag("\"2\"");
  printed.mutable_create_time()->set_seconds(1);
  printed.mutable_status()->set_state(v1::ExportStatus::MOUNTED);

  for (const Format format : {Format::kJson, Format::kYaml}) {
    const auto exports = Read(Structured(printed, format));
    ASSERT_THAT(exports, SizeIs(1));
    EXPECT_EQ(JsonLine(exports[0]), JsonLine(resource));
  }
}

TEST(ReadManifest, SaysWhatIsWrongAndWhere) {
  EXPECT_THAT(ErrorOf("name: a\nname: b\n"), HasSubstr(":2: 'name' is there twice"));
  EXPECT_THAT(ErrorOf("tag: a\n"), HasSubstr(":1: the export has no name"));
  EXPECT_THAT(ErrorOf("name: a\n---\nname: exports/a\n"),
              HasSubstr(":3: exports/a is described twice"));
  EXPECT_THAT(ErrorOf("name: a\ncolour: red\n"), HasSubstr("colour"));
  EXPECT_THAT(ErrorOf("name: a\nsocket:\n  mode: 0660\n"),
              HasSubstr(":3: '0660' could be octal or decimal; write 0o660"));
  EXPECT_THAT(ErrorOf("name: [a\n"), HasSubstr(":2: "));
  EXPECT_THAT(ErrorOf("just text"), HasSubstr(":1: an export is expected here"));
  EXPECT_THAT(ErrorOf("- 1\n"), HasSubstr(":1: an export is expected here"));
  EXPECT_THAT(ErrorOf("name: a\nx: " + std::string(100, '[')), HasSubstr(":2: "));
}

}  // namespace
}  // namespace fsd::cli
