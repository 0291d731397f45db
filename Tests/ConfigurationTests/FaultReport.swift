import Configuration

/// What a text gets from whoever reads it, each fault as `describe` says it; nothing where it is good.
func report(
  _ describe: (Fault) -> String,
  of read: () throws -> some Any
) -> [String] {
  do {
    _ = try read()
    return []
  } catch let error as ConfigurationError {
    return error.faults.map(describe)
  } catch {
    return ["\(error)"]
  }
}
