internal import Reactor

/// What holds for endpoints whichever registry lists them.
public struct RegistryRules: Sendable {
  /// Reads an address with its port by the rules of configurations, `nil` for what is none.
  public typealias AddressReader = @Sendable (_ text: String) -> ListedEndpoint.Address?

  /// Entries that a registry may have under one name; more are refused as a whole.
  public var maximumEntries: Int
  /// Bytes of all names of entries together: a watch has no end at which its size would be judged.
  public var maximumKeyBytes: Int
  let read: AddressReader

  static let weights = 1...1_000
  static let priorities = 0...7
  private static let longestZone = 128

  public init(
    maximumEntries: Int,
    maximumKeyBytes: Int = 16 << 20,
    address: @escaping AddressReader
  ) {
    self.maximumEntries = maximumEntries
    self.maximumKeyBytes = maximumKeyBytes
    read = address
  }

  /// An endpoint of a host and a port that stand apart.
  func address(host: String, port: Int) -> ListedEndpoint.Address? {
    guard (1...65_535).contains(port) else { return nil }
    return read(host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)")
  }

  /// Whether a host is an address and no name.
  static func isLiteral(_ host: String) -> Bool { KernelAddress(ip: host, port: 0) != nil }

  /// A zone as it is carried: nothing that nobody could read.
  static func zone(_ text: String?) -> String? {
    guard let text, (1...longestZone).contains(text.utf8.count),
      text.unicodeScalars.allSatisfy({ $0.value > 0x20 && !(0x7F..<0xA0).contains($0.value) })
    else { return nil }
    return text
  }
}

/// Gathers what entries come to.
struct RegistryGathering: Sendable {
  private var endpoints: [ListedEndpoint] = []
  private var refused = 0
  private var first = ""

  /// `name`: What an operator knows the entry by.
  mutating func refuse(_ name: String, _ problem: String) {
    if refused == 0 { first = "\(name.prefix(200)): \(problem)" }
    refused += 1
  }

  mutating func add(_ endpoint: ListedEndpoint) { endpoints.append(endpoint) }

  /// How many endpoints there are.
  var count: Int { endpoints.count }

  /// The whole.
  var list: RegistryList {
    guard refused > 0 else { return RegistryList(endpoints) }
    let words = refused == 1 ? first : "\(first) (and \(refused - 1) more)"
    return RegistryList(endpoints, remark: EndpointList.Remark(count: refused, words: words))
  }
}

/// Text as it stands in a target (RFC 3986 section 2.3).
enum PercentText {
  static func encode(_ text: String) -> String {
    var encoded: [UInt8] = []
    let digits = Array("0123456789ABCDEF".utf8)
    for byte in text.utf8 {
      switch byte {
      case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "-"), UInt8(ascii: "."),
        UInt8(ascii: "_"), UInt8(ascii: "~"):
        encoded.append(byte)
      default: encoded += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
      }
    }
    return String(decoding: encoded, as: UTF8.self)
  }
}
