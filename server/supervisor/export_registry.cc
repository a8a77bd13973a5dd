#include "server/supervisor/export_registry.h"

#include <utility>

#include "server/errors/check.h"

namespace fsd::supervisor {

Export* ExportRegistry::Find(const std::string& id) const {
  const auto it = exports_.find(id);
  return it == exports_.end() ? nullptr : it->second.get();
}

Export* ExportRegistry::FindBySocket(const std::string& socket_path) const {
  for (const auto& [id, entry] : exports_) {
    if (entry->record().spec().socket_path() == socket_path) return entry.get();
  }
  return nullptr;
}

Export& ExportRegistry::Add(std::unique_ptr<Export> added) {
  const std::string id = added->id();
  const auto [it, inserted] = exports_.emplace(id, std::move(added));
  FSD_CHECK(inserted);
  return *it->second;
}

}  // namespace fsd::supervisor
