import Reactor
import Testing

struct KernelAddressTests {
  @Test(arguments: ["", "1.2.3", "1.2.3.4.5", "256.1.1.1", "[::1]", "::1%lo", "host", "1.2.3.4 "])
  func `text that is no address is refused`(text: String) {
    #expect(KernelAddress(ip: text, port: 1) == nil)
  }

  @Test func `a UNIX path that the kernel cannot hold is refused`() {
    #expect(KernelAddress(unixPath: "") == nil)
    #expect(KernelAddress(unixPath: String(repeating: "a", count: 108)) == nil)
    let longest = String(repeating: "a", count: 107)
    #expect(KernelAddress(unixPath: longest)?.description == "unix:" + longest)
  }

  @Test(
    arguments: [
      ("10.0.0.1", "10.0.0.1:80"), ("255.255.255.255", "255.255.255.255:80"),
      ("::1", "[::1]:80"), ("2001:db8:0:0:1::", "[2001:db8:0:0:1::]:80"), ("::", "[::]:80"),
    ]
  )
  func `an address reads as it was written`(text: String, expected: String) {
    let address = KernelAddress(ip: text, port: 80)
    #expect(address?.description == expected)
    #expect(address?.port == 80)
    #expect(address?.isUnix == false)
  }

  @Test func `an IPv4 address and its mapped form are one`() {
    let plain = KernelAddress(ip: "192.0.2.7", port: 1)
    let mapped = KernelAddress(ip: "::ffff:192.0.2.7", port: 1)
    #expect(plain?.ip == mapped?.ip)
    #expect(plain?.ip == IPBytes(high: 0, low: 0xFFFF_C000_0207))
    #expect(mapped?.ip.description == "192.0.2.7")
    #expect(KernelAddress(unixPath: "/run/x")?.ip == IPBytes(high: 0, low: 0))
  }
}
