/// What the harness itself could not do: a wait that ran out, bytes that are no HTTP, a refused call.
struct WireFailure: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) { self.description = description }
}
