/// Why a call cannot begin or go on, in words that an operator understands.
struct CallFault: Error, Equatable {
  let words: String

  init(_ words: String) { self.words = words }
}
