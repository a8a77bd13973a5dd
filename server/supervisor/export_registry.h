// ExportRegistry: the exports that there are, each id and each socket once.
#ifndef FSD_SERVER_SUPERVISOR_EXPORT_REGISTRY_H_
#define FSD_SERVER_SUPERVISOR_EXPORT_REGISTRY_H_

#include <map>
#include <memory>
#include <string>

#include "server/supervisor/export.h"

namespace fsd::supervisor {

class ExportRegistry {
 public:
  // Ordered by id.
  using Map = std::map<std::string, std::unique_ptr<Export>>;

  // Null if there is none. The pointers stay good until Remove.
  Export* Find(const std::string& id) const;
  Export* FindBySocket(const std::string& socket_path) const;

  // Its id must not be there yet.
  Export& Add(std::unique_ptr<Export> added);
  void Remove(const std::string& id) { exports_.erase(id); }

  const Map& all() const { return exports_; }

 private:
  Map exports_;
};

}  // namespace fsd::supervisor

#endif  // FSD_SERVER_SUPERVISOR_EXPORT_REGISTRY_H_
