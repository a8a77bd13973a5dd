// CapabilitySet: a set of Linux capabilities, a value (capabilities(7)).
#ifndef FSD_SERVER_SANDBOX_CAPABILITY_SET_H_
#define FSD_SERVER_SANDBOX_CAPABILITY_SET_H_

#include <cstdint>
#include <initializer_list>
#include <string>

namespace fsd::sandbox {

// A capability is its number, CAP_CHOWN …, below 64.
class CapabilitySet {
 public:
  constexpr CapabilitySet() = default;
  constexpr CapabilitySet(std::initializer_list<int> capabilities) {
    for (const int capability : capabilities) Add(capability);
  }
  static constexpr CapabilitySet OfBits(uint64_t bits) {
    CapabilitySet set;
    set.bits_ = bits;
    return set;
  }

  constexpr void Add(int capability) { bits_ |= uint64_t{1} << capability; }
  constexpr bool Has(int capability) const { return (bits_ >> capability & 1) != 0; }
  constexpr bool empty() const { return bits_ == 0; }
  // As the kernel has them: capability N is bit N.
  constexpr uint64_t bits() const { return bits_; }

  friend constexpr CapabilitySet operator|(CapabilitySet a, CapabilitySet b) {
    return OfBits(a.bits_ | b.bits_);
  }
  friend constexpr CapabilitySet operator&(CapabilitySet a, CapabilitySet b) {
    return OfBits(a.bits_ & b.bits_);
  }
  // What is in `a` only.
  friend constexpr CapabilitySet operator-(CapabilitySet a, CapabilitySet b) {
    return OfBits(a.bits_ & ~b.bits_);
  }
  friend constexpr bool operator==(CapabilitySet, CapabilitySet) = default;

  // "CAP_CHOWN, CAP_FOWNER", by number.
  std::string Names() const;

 private:
  uint64_t bits_ = 0;
};

// "CAP_CHOWN"; "CAP_63" for one that has no name here.
std::string CapabilityName(int capability);

}  // namespace fsd::sandbox

#endif  // FSD_SERVER_SANDBOX_CAPABILITY_SET_H_
