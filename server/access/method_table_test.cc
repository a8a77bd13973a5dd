#include "server/access/method_table.h"

#include <google/protobuf/descriptor.h>

#include <set>
#include <string>

#include "gmock/gmock.h"
#include "proto/fsd/v1/export_service.pb.h"
#include "proto/fsd/v1/server_service.pb.h"

namespace fsd::access {
namespace {

using supervisor::Role;

// Of every service that the API's files declare.
std::set<std::string> DeclaredMethods() {
  std::set<std::string> methods;
  for (const auto* file : {v1::CreateExportRequest::descriptor()->file(),
                           v1::GetServerInfoRequest::descriptor()->file()}) {
    for (int s = 0; s < file->service_count(); ++s) {
      const auto* service = file->service(s);
      for (int m = 0; m < service->method_count(); ++m) {
        methods.insert("/" + service->full_name() + "/" + service->method(m)->name());
      }
    }
  }
  return methods;
}

TEST(MethodTable, HasARowForEveryMethodThatTheApiDeclares) {
  EXPECT_GE(DeclaredMethods().size(), 5u);
  for (const std::string& method : DeclaredMethods()) {
    EXPECT_NE(FindMethod(method), nullptr)
        << method << " may be called by nobody; give it a row in method_table.cc";
  }
}

TEST(MethodTable, WhatMutatesIsForAdministrators) {
  for (const std::string& method : DeclaredMethods()) {
    const MethodRow* const row = FindMethod(method);
    ASSERT_NE(row, nullptr) << method;
    const std::string name = method.substr(method.rfind('/') + 1);
    const bool reads = name.starts_with("Get") || name.starts_with("List") ||
                       name.starts_with("Watch") || name.starts_with("Check");
    EXPECT_EQ(row->mutates, !reads) << method;
    EXPECT_EQ(row->role, reads ? Role::kReader : Role::kAdministrator) << method;
  }
}

TEST(MethodTable, NamesAreWhole) {
  EXPECT_EQ(FindMethod(""), nullptr);
  EXPECT_EQ(FindMethod("/fsd.v1.ExportService/"), nullptr);
  EXPECT_EQ(FindMethod("/fsd.v1.ExportService/GetExportX"), nullptr);
  EXPECT_EQ(FindMethod("fsd.v1.ExportService/GetExport"), nullptr);
}

}  // namespace
}  // namespace fsd::access
