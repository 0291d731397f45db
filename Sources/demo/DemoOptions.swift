/// What the command line asked for.
struct DemoOptions {
  static let usage = """
    usage: demo [--port N] [--name NAME] [--address A.B.C.D]

      /              JSON that names the service and what it was asked
      /bytes/N       N bytes with Content-Length       /chunks/N   N chunks of 1000 bytes
      /sleep/MS      answers after MS milliseconds     /status/N   that status, empty body
      /echo          JSON of what arrived: method, target, fields, body length

    The last two parts of the path decide, so /v1/orders/sleep/50 works behind a prefix route too.
    """

  private(set) var name = "demo"
  private(set) var address = "127.0.0.1"
  private(set) var port: UInt16 = 7001

  enum Fault: Error {
    case helpWanted
    case wrong(String)
  }

  init(arguments: ArraySlice<String>) throws(Fault) {
    var rest = arguments
    while let option = rest.popFirst() {
      if option == "--help" || option == "-h" { throw .helpWanted }
      guard let value = rest.popFirst() else {
        throw .wrong("\(option) is unknown or lacks a value")
      }
      switch option {
      case "--name":
        name = value
      case "--address":
        address = value
      case "--port":
        guard let number = UInt16(value), number > 0 else { throw .wrong("\(value) is no port") }
        port = number
      default:
        throw .wrong("\(option) is unknown")
      }
    }
  }
}
