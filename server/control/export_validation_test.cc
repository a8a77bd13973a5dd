#include "server/control/export_validation.h"

#include <string>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fsd::control {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

auto Violation(const char* field, v1::ErrorReason reason) {
  return AllOf(Field(&FieldViolation::field, field), Field(&FieldViolation::reason, reason));
}

v1::CreateExportRequest Good() {
  v1::CreateExportRequest request;
  request.set_export_id("web-1");
  request.mutable_export_()->mutable_source()->mutable_passthrough()->set_path("/srv/web");
  request.mutable_export_()->set_tag("web");
  return request;
}

TEST(ValidateCreate, TheLeastThatIsNeededPasses) { EXPECT_THAT(ValidateCreate(Good()), IsEmpty()); }

TEST(ValidateCreate, EveryServedFieldPasses) {
  v1::CreateExportRequest request = Good();
  request.set_request_id("6f1c2b0e-8a52-4c0e-9b0e-0d1f0f2b7c11");
  request.set_validate_only(true);
  v1::Export& resource = *request.mutable_export_();
  (*resource.mutable_labels())["example.org/tier"] = "weiß";
  resource.mutable_owner()->set_system("libvirt");
  resource.mutable_owner()->set_vm_id("0b9d");
  resource.set_tag(std::string(36, 't'));
  resource.set_advertise_tag(true);
  resource.mutable_socket()->set_path("/" + std::string(106, 's'));
  resource.mutable_socket()->set_uid(107);
  resource.mutable_socket()->set_gid(64055);
  resource.mutable_socket()->set_mode(0770);
  resource.set_read_only(true);
  resource.mutable_cache()->set_policy(v1::Cache::ALWAYS);

  EXPECT_THAT(ValidateCreate(request), IsEmpty());
}

TEST(ValidateCreate, AnExportAsTheServerSentItPasses) {
  v1::CreateExportRequest request = Good();
  v1::Export& resource = *request.mutable_export_();
  resource.set_name("exports/other");
  resource.set_uid("u");
  resource.set_etag("\"0\"");
  resource.mutable_create_time()->set_seconds(1);
  resource.mutable_status()->set_state(v1::ExportStatus::MOUNTED);

  EXPECT_THAT(ValidateCreate(request), IsEmpty());
}

TEST(ValidateCreate, AllThatIsMissingIsNamedAtOnce) {
  EXPECT_THAT(ValidateCreate(v1::CreateExportRequest()),
              ElementsAre(Violation("export_id", v1::FIELD_REQUIRED),
                          Violation("export", v1::FIELD_REQUIRED)));
  v1::CreateExportRequest empty;
  empty.mutable_export_();
  EXPECT_THAT(ValidateCreate(empty), ElementsAre(Violation("export_id", v1::FIELD_REQUIRED),
                                                 Violation("export.source", v1::FIELD_REQUIRED),
                                                 Violation("export.tag", v1::FIELD_REQUIRED)));
}

TEST(ValidateCreate, AllThatIsWrongIsNamedAtOnce) {
  v1::CreateExportRequest request;
  request.set_export_id("Web/..");
  request.set_request_id("line\nbreak");
  v1::Export& resource = *request.mutable_export_();
  (*resource.mutable_labels())["-a"] = std::string(257, 'v');
  resource.mutable_owner()->set_vm_id("a\x1b[1m");
  resource.mutable_source()->mutable_passthrough()->set_path("srv");
  resource.set_tag(std::string(37, 't'));
  resource.mutable_socket()->set_path("/" + std::string(107, 's'));
  resource.mutable_socket()->set_uid(0xffffffff);
  resource.mutable_socket()->set_mode(04755);
  resource.mutable_transport()->set_max_queue_size(64);
  resource.mutable_qos()->mutable_read()->set_burst_bytes(1);

  EXPECT_THAT(ValidateCreate(request),
              ElementsAre(Violation("export.transport.max_queue_size", v1::FIELD_NOT_SERVED),
                          Violation("export_id", v1::FIELD_INVALID),
                          Violation("request_id", v1::FIELD_INVALID),
                          Violation("export.labels[\"-a\"]", v1::FIELD_INVALID),
                          Violation("export.labels[\"-a\"]", v1::FIELD_INVALID),
                          Violation("export.owner.vm_id", v1::FIELD_INVALID),
                          Violation("export.source.passthrough.path", v1::FIELD_INVALID),
                          Violation("export.tag", v1::FIELD_INVALID),
                          Violation("export.socket.path", v1::SOCKET_PATH_TOO_LONG),
                          Violation("export.socket.uid", v1::FIELD_INVALID),
                          Violation("export.socket.mode", v1::FIELD_INVALID),
                          Violation("export.qos.read.burst_bytes", v1::FIELD_INVALID)));
}

TEST(ValidateCreate, AnUnknownCachePolicyIsNotServed) {
  v1::CreateExportRequest request = Good();
  request.mutable_export_()->mutable_cache()->set_policy(static_cast<v1::Cache::Policy>(99));

  EXPECT_THAT(ValidateCreate(request),
              ElementsAre(Violation("export.cache.policy", v1::FIELD_NOT_SERVED)));
}

TEST(ValidateCreate, EveryGroupOfOptionsIsChecked) {
  v1::CreateExportRequest request = Good();
  v1::Export& resource = *request.mutable_export_();
  resource.mutable_cache()->mutable_attr_timeout()->set_seconds(-1);
  resource.mutable_semantics()->mutable_lock_wait()->set_seconds(1);
  resource.mutable_ids()->add_uid_mount()->set_count(1);
  resource.mutable_inodes()->set_max_file_descriptors(63);
  resource.mutable_transport()->set_request_queues(256);
  resource.mutable_transport()->set_poll_us(1001);
  resource.mutable_sandbox()->mutable_limits()->set_threads(1);

  EXPECT_THAT(ValidateCreate(request),
              ElementsAre(Violation("export.cache.attr_timeout", v1::FIELD_INVALID),
                          Violation("export.semantics.lock_wait", v1::FIELD_INVALID),
                          Violation("export.ids.gid_mount", v1::FIELD_REQUIRED),
                          Violation("export.inodes.max_file_descriptors", v1::FIELD_INVALID),
                          Violation("export.transport.request_queues", v1::FIELD_INVALID),
                          Violation("export.transport.poll_us", v1::FIELD_INVALID),
                          Violation("export.sandbox.limits.threads", v1::FIELD_INVALID)));
}

TEST(ValidateCreate, QueuesAndPollingAreTakenUpToTheirMost) {
  v1::CreateExportRequest request = Good();
  request.mutable_export_()->mutable_transport()->set_request_queues(255);
  request.mutable_export_()->mutable_transport()->set_poll_us(1000);

  EXPECT_TRUE(ValidateCreate(request).empty());
}

TEST(ValidateCreate, UnknownEnumValuesWithinListsAreNotServed) {
  v1::CreateExportRequest request = Good();
  v1::Export& resource = *request.mutable_export_();
  resource.mutable_semantics()->set_xattr(true);
  resource.mutable_semantics()->add_xattr_rules()->set_type(static_cast<v1::XattrRule::Type>(99));
  v1::IdTranslation& translation = *resource.mutable_ids()->add_gid_translations();
  translation.set_kind(static_cast<v1::IdTranslation::Kind>(-1));
  translation.set_count(1);

  EXPECT_THAT(ValidateCreate(request),
              ElementsAre(Violation("export.semantics.xattr_rules[0].type", v1::FIELD_NOT_SERVED),
                          Violation("export.ids.gid_translations[0].kind", v1::FIELD_NOT_SERVED)));
}

class InodeFds : public testing::TestWithParam<std::pair<uint64_t, bool>> {};

TEST_P(InodeFds, AreTakenWithinTheirBounds) {
  v1::CreateExportRequest request = Good();
  request.mutable_export_()->mutable_inodes()->set_max_file_descriptors(GetParam().first);

  EXPECT_EQ(ValidateCreate(request).empty(), GetParam().second);
}

INSTANTIATE_TEST_SUITE_P(
    Numbers, InodeFds,
    testing::Values(std::pair(uint64_t{0}, true), std::pair(uint64_t{1}, false),
                    std::pair(uint64_t{63}, false), std::pair(uint64_t{64}, true),
                    std::pair(uint64_t{1} << 31, true), std::pair((uint64_t{1} << 31) + 1, false)));

TEST(ValidateCreate, TooManyLabelsAreRefused) {
  v1::CreateExportRequest request = Good();
  for (int i = 0; i < 65; ++i) {
    (*request.mutable_export_()->mutable_labels())["k" + std::to_string(i)] = "";
  }

  EXPECT_THAT(ValidateCreate(request), ElementsAre(Violation("export.labels", v1::FIELD_INVALID)));
}

class BadSource : public testing::TestWithParam<std::string> {};

TEST_P(BadSource, IsRefused) {
  v1::CreateExportRequest request = Good();
  request.mutable_export_()->mutable_source()->mutable_passthrough()->set_path(GetParam());

  EXPECT_THAT(ValidateCreate(request),
              Contains(Field(&FieldViolation::field, "export.source.passthrough.path")));
}

INSTANTIATE_TEST_SUITE_P(Paths, BadSource,
                         testing::Values("", "srv", "./srv", "/srv/", "/srv//web", "/srv/../etc",
                                         "/srv/.", "//", std::string("/a\0b", 4),
                                         "/" + std::string(4095, 'a')));

class BadId : public testing::TestWithParam<std::string> {};

TEST_P(BadId, IsRefusedOnCreationAndInNames) {
  v1::CreateExportRequest create = Good();
  create.set_export_id(GetParam());
  v1::GetExportRequest get;
  get.set_name("exports/" + GetParam());

  EXPECT_THAT(ValidateCreate(create), Contains(Field(&FieldViolation::field, "export_id")));
  EXPECT_THAT(ValidateGet(get), ElementsAre(Violation("name", v1::FIELD_INVALID)));
}

INSTANTIATE_TEST_SUITE_P(Ids, BadId,
                         testing::Values("", "-a", "a-", "A", "a.b", "a/b", "..", "ä", "a b",
                                         std::string("a\0", 2), std::string(64, 'a')));

TEST(ValidateCreate, ForeignTextIsEscapedAndShortenedInMessages) {
  v1::CreateExportRequest request = Good();
  request.mutable_export_()->mutable_source()->mutable_passthrough()->set_path(
      "a\nb" + std::string(76, 'x') + "äääää");

  const FieldViolations violations = ValidateCreate(request);

  ASSERT_THAT(violations, SizeIs(1));
  EXPECT_THAT(violations[0].description, HasSubstr("\"a\\nbxxx"));
  EXPECT_THAT(violations[0].description, HasSubstr("x…\" is not an absolute path"));
}

TEST(ValidateGet, TakesAName) {
  v1::GetExportRequest request;
  request.set_name("exports/web");
  EXPECT_THAT(ValidateGet(request), IsEmpty());
  request.set_name("web");
  EXPECT_THAT(ValidateGet(request), ElementsAre(Violation("name", v1::FIELD_INVALID)));
  request.set_name("");
  EXPECT_THAT(ValidateGet(request), ElementsAre(Violation("name", v1::FIELD_REQUIRED)));
}

TEST(ValidateList, APageSizeIsNotNegative) {
  v1::ListExportsRequest request;
  request.set_filter("labels.a=b");
  request.set_order_by("name");
  EXPECT_THAT(ValidateList(request), IsEmpty());
  request.set_page_size(-1);
  EXPECT_THAT(ValidateList(request), ElementsAre(Violation("page_size", v1::FIELD_INVALID)));
}

TEST(ValidateDelete, ADrainTimeoutGoesWithDrainOnly) {
  v1::DeleteExportRequest request;
  request.set_name("exports/web");
  request.set_etag("\"1\"");
  request.set_allow_missing(true);
  request.set_mode(v1::DeleteExportRequest::FORCE);
  EXPECT_THAT(ValidateDelete(request), IsEmpty());

  request.mutable_drain_timeout()->set_seconds(5);
  EXPECT_THAT(ValidateDelete(request), ElementsAre(Violation("drain_timeout", v1::FIELD_INVALID)));
  request.set_mode(v1::DeleteExportRequest::DRAIN);
  EXPECT_THAT(ValidateDelete(request), IsEmpty());
  request.mutable_drain_timeout()->set_seconds(-5);
  EXPECT_THAT(ValidateDelete(request), ElementsAre(Violation("drain_timeout", v1::FIELD_INVALID)));
}

TEST(ValidateDrain, ATimeoutIsNotNegative) {
  v1::DrainExportRequest request;
  request.set_name("exports/web");
  request.mutable_timeout()->set_seconds(0);
  EXPECT_THAT(ValidateDrain(request), IsEmpty());
  request.mutable_timeout()->set_nanos(-1);
  EXPECT_THAT(ValidateDrain(request), ElementsAre(Violation("timeout", v1::FIELD_INVALID)));
}

TEST(ValidateNamed, IsForEveryCallOnOneExport) {
  v1::RestartWorkerRequest restart;
  restart.set_force(true);
  EXPECT_THAT(ValidateNamed(restart, restart.name()),
              ElementsAre(Violation("name", v1::FIELD_REQUIRED)));
  v1::ResumeExportRequest resume;
  resume.set_name("exports/web");
  resume.set_etag("x");
  EXPECT_THAT(ValidateNamed(resume, resume.name()), IsEmpty());
}

TEST(ValidateUpdate, NeedsANameAndAMask) {
  std::vector<std::string> fields;
  v1::UpdateExportRequest request;
  EXPECT_THAT(ValidateUpdate(request, fields),
              ElementsAre(Violation("export", v1::FIELD_REQUIRED),
                          Violation("update_mask", v1::FIELD_REQUIRED)));
  request.mutable_export_()->set_name("web");
  request.mutable_update_mask()->add_paths("uid");
  EXPECT_THAT(ValidateUpdate(request, fields),
              ElementsAre(Violation("export.name", v1::FIELD_INVALID),
                          Violation("update_mask[\"uid\"]", v1::FIELD_OUTPUT_ONLY)));
}

TEST(ValidateUpdate, LooksAtWhatTheMaskNamesOnly) {
  std::vector<std::string> fields;
  v1::UpdateExportRequest request;
  request.mutable_export_()->set_name("exports/web");
  request.mutable_export_()->mutable_transport()->set_max_queue_size(256);
  request.mutable_export_()->mutable_cache()->set_policy(static_cast<v1::Cache::Policy>(99));
  request.mutable_update_mask()->add_paths("owner");
  EXPECT_THAT(ValidateUpdate(request, fields), IsEmpty());
  EXPECT_THAT(fields, ElementsAre("owner.system", "owner.vm_id"));

  request.mutable_update_mask()->add_paths("cache.policy");
  EXPECT_THAT(ValidateUpdate(request, fields),
              ElementsAre(Violation("export.cache.policy", v1::FIELD_NOT_SERVED)));
}

TEST(ValidateExport, NamesWhatIsWrongAsARequestDoes) {
  v1::Export resource = Good().export_();
  EXPECT_THAT(ValidateExport(resource), IsEmpty());
  resource.set_tag("");
  EXPECT_THAT(ValidateExport(resource), ElementsAre(Violation("export.tag", v1::FIELD_REQUIRED)));
}

}  // namespace
}  // namespace fsd::control
