/// One thing that is wrong with a configuration, and where.
public struct Fault: Error, Sendable, Hashable, Comparable {
  /// From 1.
  public var line: Int
  /// From 1, in characters.
  public var column: Int
  /// The field's path, such as `routes[2].policies.timeoutMs`; empty for the whole document.
  public var path: String
  /// What is wrong; what would be right.
  public var message: String

  public init(line: Int, column: Int, path: String, message: String) {
    self.line = line
    self.column = column
    self.path = path
    self.message = message
  }

  public static func < (a: Fault, b: Fault) -> Bool {
    (a.line, a.column, a.path, a.message) < (b.line, b.column, b.path, b.message)
  }

  /// The line `file:line:column: path: message`.
  public func description(in file: String) -> String {
    "\(file):\(line):\(column): " + (path.isEmpty ? "" : "\(path): ") + message
  }
}

/// Why a configuration cannot take effect.
public struct ConfigurationError: Error, CustomStringConvertible {
  public var file: String
  /// Sorted by position; empty when the file could not be read.
  public var faults: [Fault]
  /// What went wrong with the file itself.
  public var problem: String?
  /// The text that was judged, to show its lines.
  public var text: String

  public init(file: String, faults: [Fault] = [], problem: String? = nil, text: String = "") {
    self.file = file
    self.faults = faults
    self.text = text
    self.problem = problem
  }

  public var description: String {
    let lines = faults.map { $0.description(in: file) }
    return (problem.map { ["\(file): \($0)"] } ?? []).joined() + lines.joined(separator: "\n")
  }
}
