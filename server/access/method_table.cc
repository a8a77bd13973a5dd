#include "server/access/method_table.h"

#include <array>

namespace fsd::access {
namespace {

constexpr auto kReader = supervisor::Role::kReader;
constexpr auto kAdministrator = supervisor::Role::kAdministrator;

constexpr std::array<MethodRow, 20> kRows = {{
    {"/fsd.v1.ExportService/CreateExport", kAdministrator, true},
    {"/fsd.v1.ExportService/GetExport", kReader, false},
    {"/fsd.v1.ExportService/ListExports", kReader, false},
    {"/fsd.v1.ExportService/UpdateExport", kAdministrator, true},
    {"/fsd.v1.ExportService/DeleteExport", kAdministrator, true},
    {"/fsd.v1.ExportService/WatchExports", kReader, false},
    {"/fsd.v1.ExportService/DrainExport", kAdministrator, true},
    {"/fsd.v1.ExportService/ResumeExport", kAdministrator, true},
    {"/fsd.v1.ExportService/DisconnectExport", kAdministrator, true},
    {"/fsd.v1.ExportService/RestartWorker", kAdministrator, true},
    {"/fsd.v1.ExportService/GetExportStats", kReader, false},
    {"/fsd.v1.ExportService/ListInflightRequests", kReader, false},
    {"/fsd.v1.ServerService/GetServerInfo", kReader, false},
    {"/fsd.v1.ServerService/SetLogLevel", kAdministrator, true},
    {"/fsd.v1.ServerService/SetSlowRequestThreshold", kAdministrator, true},
    {"/fsd.v1.ServerService/CheckHost", kReader, false},
    {"/grpc.health.v1.Health/Check", kReader, false},
    {"/grpc.health.v1.Health/Watch", kReader, false},
    // Clients try the newer one first; whether the server has it is the server's to say.
    {"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", kReader, false},
    {"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", kReader, false},
}};

}  // namespace

const MethodRow* FindMethod(std::string_view method) {
  for (const MethodRow& row : kRows) {
    if (row.method == method) return &row;
  }
  return nullptr;
}

}  // namespace fsd::access
