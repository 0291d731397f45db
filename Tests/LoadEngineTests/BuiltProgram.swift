import Foundation

/// What is built beside the tests.
enum BuiltProgram {
  /// The executable of this name beside the test bundle.
  static func path(_ name: String) -> String {
    let bundle =
      (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
    return URL(fileURLWithPath: bundle).deletingLastPathComponent().appendingPathComponent(name)
      .path
  }
}
