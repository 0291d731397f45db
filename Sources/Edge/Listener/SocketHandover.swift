/// Listening sockets as one line of text, for the environment of a child process.
///
/// `0.0.0.0:80=3,4,-,6;unix:%2Frun%2Fedge=7`: per key the descriptor of each worker, `-` where one
/// has none. An environment string holds 128 KiB, which is some 20,000 sockets.
public enum SocketHandover {
  /// The variable that carries the line.
  public static let variable = "SPILLWAY_SOCKETS"

  /// A worker index past this is a fault in the text, not a machine.
  static let maximumWorkers = 4_096

  public static func encode(_ sockets: [ListeningSocket]) -> String {
    var byKey: [String: [Int: Int32]] = [:]
    for socket in sockets { byKey[socket.key, default: [:]][socket.worker] = socket.descriptor }
    return byKey.sorted { $0.key < $1.key }
      .map { key, workers in
        let last = workers.keys.max() ?? 0
        let list = (0...last).map { workers[$0].map(String.init) ?? "-" }.joined(separator: ",")
        return "\(escape(key))=\(list)"
      }
      .joined(separator: ";")
  }

  /// Reads what `encode` wrote; whatever is not that is left out, never guessed.
  public static func decode(_ text: String) -> [ListeningSocket] {
    var sockets: [ListeningSocket] = []
    for entry in text.split(separator: ";") {
      let parts = entry.split(separator: "=", omittingEmptySubsequences: false)
      guard parts.count == 2, let key = unescape(parts[0]), !key.isEmpty else { continue }
      let list = parts[1].split(separator: ",", maxSplits: maximumWorkers)
      for (worker, number) in list.enumerated() {
        guard worker < maximumWorkers, let descriptor = Int32(number), descriptor > 2 else {
          continue
        }
        sockets.append(ListeningSocket(key: key, worker: worker, descriptor: descriptor))
      }
    }
    return sockets
  }

  private static func isPlain(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: ":"),
      UInt8(ascii: "["), UInt8(ascii: "]"), UInt8(ascii: "-"), UInt8(ascii: "_"):
      true
    default: false
    }
  }

  static func escape(_ text: String) -> String {
    let digits = Array("0123456789ABCDEF".utf8)
    var bytes: [UInt8] = []
    for byte in text.utf8 {
      if isPlain(byte) {
        bytes.append(byte)
      } else {
        bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  static func unescape(_ text: some StringProtocol) -> String? {
    let bytes = Array(text.utf8)
    var result: [UInt8] = []
    var at = 0
    while at < bytes.count {
      guard bytes[at] == UInt8(ascii: "%") else {
        result.append(bytes[at])
        at += 1
        continue
      }
      guard at + 2 < bytes.count,
        let byte = UInt8(String(decoding: bytes[at + 1...at + 2], as: UTF8.self), radix: 16)
      else { return nil }
      result.append(byte)
      at += 3
    }
    return String(decoding: result, as: UTF8.self)
  }
}
