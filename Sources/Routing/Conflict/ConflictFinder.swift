/// Finds rules that make each other doubtful or useless.
struct ConflictFinder {
  static func conflicts(in rules: [CompiledRule]) -> [RouteConflict] { [] }
}
