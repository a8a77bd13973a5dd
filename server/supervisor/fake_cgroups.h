// FakeCgroups: a directory laid out as that of a cgroup (v2) is, of plain files: what is written
// can be read. With the supervisor's leaf and the parts of the exports that a test names.
#ifndef FSD_SERVER_SUPERVISOR_FAKE_CGROUPS_H_
#define FSD_SERVER_SUPERVISOR_FAKE_CGROUPS_H_

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace fsd::supervisor {

class FakeCgroups {
 public:
  explicit FakeCgroups(const std::string& controllers = "cpuset cpu io memory pids\n") {
    char name[] = "/tmp/fsd-cgroups-XXXXXX";
    root_ = ::mkdtemp(name);
    Write("cgroup.controllers", controllers);
    Write("cgroup.subtree_control", "");
    std::filesystem::create_directory(root_ + "/supervisor");
    Write("supervisor/cgroup.procs", "");
  }
  ~FakeCgroups() { std::filesystem::remove_all(root_); }
  FakeCgroups(const FakeCgroups&) = delete;
  FakeCgroups& operator=(const FakeCgroups&) = delete;

  void AddExport(const std::string& id) const {
    std::filesystem::create_directory(root_ + "/export-" + id);
    for (const char* file : {"cgroup.procs", "cgroup.kill", "memory.max", "memory.swap.max",
                             "memory.oom.group", "pids.max", "cpu.max", "io.max"}) {
      Write("export-" + id + "/" + file, "");
    }
  }

  const std::string& root() const { return root_; }
  std::string Path(const std::string& file) const { return root_ + "/" + file; }
  bool Has(const std::string& file) const { return std::filesystem::exists(Path(file)); }
  std::string Read(const std::string& file) const {
    std::ifstream stream(Path(file));
    return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  }
  void Write(const std::string& file, const std::string& text) const {
    std::ofstream(Path(file)) << text;
  }
  // Every attempt to write it fails with EISDIR.
  void MakeUnwritable(const std::string& file) const {
    std::filesystem::remove(Path(file));
    std::filesystem::create_directory(Path(file));
  }
  void Remove(const std::string& file) const { std::filesystem::remove_all(Path(file)); }

 private:
  std::string root_;
};

}  // namespace fsd::supervisor

#endif  // FSD_SERVER_SUPERVISOR_FAKE_CGROUPS_H_
