// A client of the API that asks for anything.
//
// The input's first byte says which request the rest is, serialized; or that it is a text
// that has a syntax of its own.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "google/protobuf/stubs/logging.h"
#include "proto/fsd/internal/export_spec.pb.h"
#include "proto/fsd/v1/export_service.pb.h"
#include "server/control/export_filter.h"
#include "server/control/export_order.h"
#include "server/control/export_page.h"
#include "server/control/export_translation.h"
#include "server/control/export_validation.h"
#include "server/control/update_mask.h"
#include "server/errors/check.h"
#include "server/supervisor/config.h"
#include "server/supervisor/export_difference.h"
#include "server/supervisor/export_spec.h"

namespace {

namespace control = fsd::control;
using fsd::internal::ExportSpec;

// Anywhere, so that a valid request gets as far as it can.
const fsd::supervisor::Config& AnyConfig() {
  static const auto& config = *[] {
    auto* made = new fsd::supervisor::Config;
    made->allow_source = {"/"};
    made->allow_socket = {"/"};
    return made;
  }();
  return config;
}

template <typename Request>
std::optional<Request> Read(std::string_view bytes) {
  Request request;
  if (!request.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return std::nullopt;
  return request;
}

void CheckViolations(const control::FieldViolations& violations) {
  for (const control::FieldViolation& violation : violations) {
    FSD_CHECK(!violation.field.empty());
    FSD_CHECK(!violation.description.empty());
  }
}

void Create(std::string_view bytes) {
  const auto request = Read<fsd::v1::CreateExportRequest>(bytes);
  if (!request) return;
  const control::FieldViolations violations = control::ValidateCreate(*request);
  CheckViolations(violations);
  if (!violations.empty()) return;

  ExportSpec spec = control::ToSpec(request->export_id(), request->export_());
  if (!fsd::supervisor::CompleteExportSpec(AnyConfig(), spec).ok()) return;
  // What is complete stays as it is, and so does what a client reads and creates again.
  ExportSpec again = spec;
  FSD_CHECK(fsd::supervisor::CompleteExportSpec(AnyConfig(), again).ok());
  FSD_CHECK(fsd::supervisor::FirstDifference(spec, again).empty());
  fsd::supervisor::ExportView view;
  *view.record.mutable_spec() = spec;
  again = control::ToSpec(request->export_id(), control::ToExport(view));
  FSD_CHECK(fsd::supervisor::CompleteExportSpec(AnyConfig(), again).ok());
  FSD_CHECK(fsd::supervisor::FirstDifference(spec, again).empty());
}

// Texts that have a syntax of their own.
void Texts(std::string_view text) {
  const control::ExportQuery query;
  if (const auto position = control::ReadPageToken(query, text)) {
    const auto again = control::ReadPageToken(query, control::MakePageToken(query, *position));
    FSD_CHECK(again && again->id == position->id && again->keys == position->keys);
  }
  const auto filter = control::ExportFilter::Parse(text);
  if (filter.ok()) (void)filter->Matches(fsd::v1::Export());
  (void)control::ExportOrder::Parse(text);
}

void Update(const fsd::v1::UpdateExportRequest& request) {
  std::vector<std::string> fields;
  const control::FieldViolations violations = control::ValidateUpdate(request, fields);
  CheckViolations(violations);
  if (!violations.empty()) return;
  fsd::v1::Export updated;
  control::CopyFields(fields, request.export_(), updated);
  CheckViolations(control::ValidateExport(updated));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  google::protobuf::SetLogHandler(nullptr);  // of text that is no UTF-8, a line each
  if (size < 1) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 6) {
    case 0:
      Create(bytes);
      break;
    case 1:
      if (auto get = Read<fsd::v1::GetExportRequest>(bytes)) {
        CheckViolations(control::ValidateGet(*get));
      }
      break;
    case 2:
      if (auto list = Read<fsd::v1::ListExportsRequest>(bytes)) {
        CheckViolations(control::ValidateList(*list));
      }
      break;
    case 3:
      if (auto deletion = Read<fsd::v1::DeleteExportRequest>(bytes)) {
        CheckViolations(control::ValidateDelete(*deletion));
      }
      break;
    case 4:
      Texts(bytes);
      break;
    default:
      if (auto update = Read<fsd::v1::UpdateExportRequest>(bytes)) Update(*update);
  }
  return 0;
}
