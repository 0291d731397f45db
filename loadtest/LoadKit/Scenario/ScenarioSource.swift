public import Configuration

/// Text to scenario: the one place that refuses it, with line and column.
public enum ScenarioSource {
  /// Reads and judges a text.
  ///
  /// - Parameters:
  ///   - text: The whole document, YAML or JSON.
  ///   - file: What faults name.
  /// - Returns: The scenario with all defaults.
  /// - Throws: Every fault at once.
  public static func parse(_ text: String, file: String) throws(ConfigurationError) -> Scenario {
    try Field.read(text, file: file, needs: "phases and kinds") { root in
      ScenarioReader().read(root)
    }
  }

  /// Reads and judges a file.
  public static func load(_ path: String) throws(ConfigurationError) -> Scenario {
    try parse(ConfigurationSource.text(of: path), file: path)
  }
}
