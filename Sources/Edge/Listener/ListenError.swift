/// Why a listening socket could not be had, in words for an operator.
public struct ListenError: Error, Equatable, CustomStringConvertible {
  public enum Code: Equatable, Sendable {
    case badAddress
    case addressTaken
    case notPermitted
    case notLocal
    case outOfDescriptors
    case system(Int32)
  }

  public var code: Code
  public var description: String

  init(_ code: Code, _ description: String) {
    self.code = code
    self.description = description
  }
}
