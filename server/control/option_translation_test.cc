// Every field that is served must survive the way to the specification and back. The fields are
// found by reflection, so that one that is served and forgotten in the translation fails here.
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "google/protobuf/util/message_differencer.h"
#include "gtest/gtest.h"
#include "server/control/export_translation.h"
#include "server/control/served_export_fields.h"

namespace fsd::control {
namespace {

using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

void Fill(Message& message, int& next);

// Sets `field`, or adds an element to it, to a value of its own; each call another.
void FillField(Message& message, const FieldDescriptor& field, int& next) {
  const auto& reflection = *message.GetReflection();
  const int value = ++next;
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection.SetBool(&message, &field, true);
    case FieldDescriptor::CPPTYPE_INT32:
      return reflection.SetInt32(&message, &field, value);
    case FieldDescriptor::CPPTYPE_INT64:
      return reflection.SetInt64(&message, &field, value);
    case FieldDescriptor::CPPTYPE_UINT32:
      return reflection.SetUInt32(&message, &field, static_cast<uint32_t>(value));
    case FieldDescriptor::CPPTYPE_UINT64:
      return reflection.SetUInt64(&message, &field, static_cast<uint64_t>(value));
    case FieldDescriptor::CPPTYPE_STRING:
      if (field.is_repeated()) {
        return reflection.AddString(&message, &field, "text " + std::to_string(value));
      }
      return reflection.SetString(&message, &field, "text " + std::to_string(value));
    case FieldDescriptor::CPPTYPE_ENUM:
      return reflection.SetEnum(&message, &field,
                                field.enum_type()->value(field.enum_type()->value_count() - 1));
    case FieldDescriptor::CPPTYPE_MESSAGE:
      if (field.is_repeated()) return Fill(*reflection.AddMessage(&message, &field), next);
      return Fill(*reflection.MutableMessage(&message, &field), next);
    default:
      FAIL() << "no value for " << field.full_name();
  }
}

void Fill(Message& message, int& next) {
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    FillField(message, *message.GetDescriptor()->field(i), next);
  }
}

// The message that holds the last field of `path`, and that field.
struct Place {
  Message* message;
  const FieldDescriptor* field;
};

Place Find(v1::Export& resource, const std::string& path) {
  Place place{&resource, nullptr};
  const std::vector<std::string> names = absl::StrSplit(path, '.');
  for (const std::string& name : names) {
    if (place.field != nullptr) {
      place.message = place.message->GetReflection()->MutableMessage(place.message, place.field);
    }
    place.field = place.message->GetDescriptor()->FindFieldByName(name);
    if (place.field == nullptr) break;
  }
  return place;
}

v1::Export ThereAndBack(const v1::Export& resource) {
  supervisor::ExportView view;
  *view.record.mutable_spec() = ToSpec("web", resource);
  return ToExport(view);
}

// What both have of the field at `path` is equal, presence included.
void ExpectEqualAt(const std::string& path, v1::Export expected, v1::Export actual) {
  const Place want = Find(expected, path);
  const Place got = Find(actual, path);
  google::protobuf::util::MessageDifferencer differencer;
  std::string difference;
  differencer.ReportDifferencesToString(&difference);
  EXPECT_TRUE(differencer.CompareWithFields(*want.message, *got.message, {want.field}, {got.field}))
      << path << ": " << difference;
}

class ServedField : public testing::TestWithParam<std::string> {};

TEST_P(ServedField, ExistsAndSurvivesTheRoundTrip) {
  v1::Export resource;
  const Place place = Find(resource, GetParam());
  ASSERT_NE(place.field, nullptr) << "no such field";
  int next = 0;
  FillField(*place.message, *place.field, next);
  // Where order or number matter, a second element.
  if (place.field->is_repeated()) FillField(*place.message, *place.field, next);

  ExpectEqualAt(GetParam(), resource, ThereAndBack(resource));
}

TEST_P(ServedField, OfAnyEnumValueSurvivesTheRoundTrip) {
  v1::Export resource;
  const Place place = Find(resource, GetParam());
  ASSERT_NE(place.field, nullptr);
  if (place.field->cpp_type() != FieldDescriptor::CPPTYPE_ENUM) return;
  for (int i = 1; i < place.field->enum_type()->value_count(); ++i) {
    const EnumValueDescriptor& value = *place.field->enum_type()->value(i);
    // Said by leaving the field unset.
    if (value.full_name() == "fsd.v1.Semantics.NONE") continue;
    place.message->GetReflection()->SetEnum(place.message, place.field, &value);
    ExpectEqualAt(GetParam(), resource, ThereAndBack(resource));
  }
}

std::vector<std::string> AllServedFields() {
  return {ServedExportFields().begin(), ServedExportFields().end()};
}

INSTANTIATE_TEST_SUITE_P(All, ServedField, testing::ValuesIn(AllServedFields()),
                         [](const testing::TestParamInfo<std::string>& info) {
                           std::string name = info.param;
                           for (char& c : name) {
                             if (c == '.') c = '_';
                           }
                           return name;
                         });

TEST(OptionTranslation, UnsetStaysUnset) {
  const v1::Export shown = ThereAndBack(v1::Export());

  EXPECT_FALSE(shown.has_semantics());
  EXPECT_FALSE(shown.has_ids());
  EXPECT_FALSE(shown.has_inodes());
  EXPECT_FALSE(shown.has_transport());
  EXPECT_FALSE(shown.has_sandbox());
  EXPECT_FALSE(shown.cache().has_attr_timeout());
  EXPECT_FALSE(shown.cache().has_entry_timeout());
  EXPECT_FALSE(shown.cache().has_negative_timeout());
  EXPECT_EQ(shown.cache().policy(), v1::Cache::AUTO);
}

TEST(OptionTranslation, SetToZeroStaysSet) {
  v1::Export resource;
  resource.mutable_cache()->mutable_attr_timeout();
  resource.mutable_semantics()->set_submounts(false);

  const v1::Export shown = ThereAndBack(resource);

  EXPECT_TRUE(shown.cache().has_attr_timeout());
  EXPECT_TRUE(shown.semantics().has_submounts());
  EXPECT_FALSE(shown.semantics().submounts());
}

TEST(OptionTranslation, DurationsKeepTheirNanoseconds) {
  v1::Export resource;
  resource.mutable_cache()->mutable_entry_timeout()->set_seconds(2'147'483'646);
  resource.mutable_cache()->mutable_entry_timeout()->set_nanos(999'999'999);

  ExpectEqualAt("cache.entry_timeout", resource, ThereAndBack(resource));
}

}  // namespace
}  // namespace fsd::control
