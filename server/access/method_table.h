// The one table of who may call what. A method that has no row may be called by nobody.
#ifndef FSD_SERVER_ACCESS_METHOD_TABLE_H_
#define FSD_SERVER_ACCESS_METHOD_TABLE_H_

#include <string_view>

#include "server/supervisor/listener.h"

namespace fsd::access {

struct MethodRow {
  std::string_view method;  // "/fsd.v1.ExportService/GetExport", as HTTP/2's :path has it
  supervisor::Role role;    // the least that may call it
  bool mutates;             // each call is a line of the audit log
};

// Null: no such row.
const MethodRow* FindMethod(std::string_view method);

}  // namespace fsd::access

#endif  // FSD_SERVER_ACCESS_METHOD_TABLE_H_
