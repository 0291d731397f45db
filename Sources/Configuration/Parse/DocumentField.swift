internal import Yams

/// Documents that are not the edge's configuration, read by the same rules and with the same faults.
extension Field {
  /// Reads a text and judges it.
  ///
  /// - Parameters:
  ///   - text: The whole document, YAML or JSON, within the bounds of a configuration.
  ///   - file: What faults name.
  ///   - needs: The fields that an empty document lacks, for its fault.
  ///   - judge: Makes a value of the root and notes faults on its fields.
  /// - Returns: What `judge` made, when it noted no fault.
  /// - Throws: Every fault at once.
  public static func read<Value>(
    _ text: String,
    file: String,
    needs: String,
    _ judge: (Field) -> Value
  ) throws(ConfigurationError) -> Value {
    let reader = Reader()
    let root: Field
    do {
      root = Field(node: try Document.read(text, needs: needs), path: "", reader: reader)
    } catch {
      throw ConfigurationError(file: file, faults: [error], text: text)
    }
    let value = judge(root)
    guard reader.faults.isEmpty else {
      throw ConfigurationError(
        file: file,
        faults: Array(Set(reader.faults)).sorted(),
        text: text
      )
    }
    return value
  }

  /// Whether this is a single value and neither a map nor a list.
  public var isScalar: Bool {
    if case .scalar = node { return true }
    return false
  }

  /// Whether this is a map.
  public var isMap: Bool {
    if case .mapping = node { return true }
    return false
  }

  /// The entries of a map whose names are free, in their order.
  public func entries() -> [(name: String, value: Field)] {
    guard case .mapping(let mapping) = node else {
      fault("must be a map; write its fields on lines of their own")
      return []
    }
    return mapping.compactMap { key, value in
      guard let name = key.string else {
        Field(node: key, path: path, reader: reader).fault("a name must be text")
        return nil
      }
      return (name, Field(node: value, path: "\(path).\(name)", reader: reader))
    }
  }

  /// Notes a fault at a place inside a text that is written on one line without quotes or escapes.
  ///
  /// - Parameters:
  ///   - message: What is wrong; what would be right.
  ///   - offset: Characters from the start of the text.
  public func fault(_ message: String, at offset: Int) {
    let mark = node.mark
    var column = mark?.column ?? 1
    if case .scalar(let scalar) = node {
      switch scalar.style {
      case .literal, .folded: break
      case .singleQuoted, .doubleQuoted: column += offset + 1
      default: column += offset
      }
    }
    reader.add([Fault(line: mark?.line ?? 1, column: column, path: path, message: message)])
  }
}
