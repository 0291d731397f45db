internal import Glibc

/// Where the program to start lies, found again at each start.
struct ProgramPath {
  /// As it was called, absolute, with its links kept: an upgrade may point them elsewhere.
  let path: String

  init(argument: String, environment: [String: String]) {
    if argument.hasPrefix("/") {
      path = argument
    } else if argument.contains("/") {
      path = "\(Self.workingFolder)/\(argument)"
    } else {
      let folders = (environment["PATH"] ?? "").split(separator: ":")
      let candidates: [String] = folders.map { "\($0)/\(argument)" }
      let found = candidates.first { file in access(file, X_OK) == 0 }
      path = found ?? Self.running
    }
  }

  /// The file this process runs from, also when it was deleted meanwhile.
  static let running = "/proc/self/exe"

  private static var workingFolder: String {
    guard let text = getcwd(nil, 0) else { return "." }
    defer { free(text) }
    return String(cString: text)
  }
}
