import CLinux
import Glibc
import Testing

@testable import Edge

/// Listening sockets across processes: what is encoded, believed, shared and closed.
struct ProcessSocketsTests {
  private func descriptor() throws -> Int32 {
    try ListeningSocket.bind("127.0.0.1:0", isFirst: false)
  }

  private func isOpen(_ descriptor: Int32) -> Bool { fcntl(descriptor, F_GETFD) >= 0 }

  @Test(arguments: [
    "", "=", "a", "a=", "a=b", "a=1", "a=0,1,2", "a=-5", "%=7", "%4=7", "a=99999999999", "=7", ";;",
  ])
  func `text that no parent wrote names no socket`(text: String) {
    #expect(SocketHandover.decode(text) == [])
  }

  @Test func `sockets read back as they were written, gaps and odd paths included`() {
    let sockets = [
      ListeningSocket(key: "0.0.0.0:80", worker: 0, descriptor: 5),
      ListeningSocket(key: "0.0.0.0:80", worker: 3, descriptor: 9),
      ListeningSocket(key: "[::1]:443", worker: 0, descriptor: 6),
      ListeningSocket(key: "unix:/run/a=b;c, d%\u{e9}", worker: 0, descriptor: 7),
    ]

    let read = SocketHandover.decode(SocketHandover.encode(sockets))

    #expect(Set(read) == Set(sockets))
  }

  @Test func `a descriptor that is not the socket it is named after is not used`() throws {
    let listening = try descriptor()
    let plain = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    let file = open("/dev/null", O_RDONLY)
    defer { for open in [listening, plain, file] { close(open) } }
    let text =
      "127.0.0.2:0=\(listening);127.0.0.1:0/a=\(plain);127.0.0.1:0/b=\(file);127.0.0.1:1=900"

    let sockets = InheritedSockets(environment: [SocketHandover.variable: text], processID: 1)

    #expect(sockets.notes.count == 4)
    #expect(sockets.inherited == [])
  }

  @Test func `an inherited socket is used, closed on exec, and the rest is closed`() throws {
    let (used, unused) = (try descriptor(), try descriptor())
    let address = ListeningSocket(key: "", worker: 0, descriptor: used).boundAddress
    let other = ListeningSocket(key: "", worker: 0, descriptor: unused).boundAddress
    _ = fcntl(used, F_SETFD, 0)
    let text = "\(address)=\(used);\(other)=\(unused)"
    let sockets = InheritedSockets(environment: [SocketHandover.variable: text], processID: 1)

    let socket = try sockets.obtain(address, name: "main", worker: 0)
    let closed = sockets.closeUnclaimed()

    #expect(socket.descriptor == used)
    #expect(fcntl(used, F_GETFD) == FD_CLOEXEC)
    #expect(closed.map(\.descriptor) == [unused])
    // The number itself may be another test's by now: what listened there must be gone.
    #expect(ListeningSocket(key: "", worker: 0, descriptor: unused).boundAddress != other)
    sockets.release(socket)
    #expect(ListeningSocket(key: "", worker: 0, descriptor: used).boundAddress != address)
  }

  @Test func `workers get sockets of their own on one port, also on port 0`() throws {
    let sockets = InheritedSockets()

    let all = try (0..<3).map { try sockets.obtain("127.0.0.1:0", name: "main", worker: $0) }
    let other = try sockets.obtain("127.0.0.1:0", name: "admin", worker: 0)

    #expect(Set(all.map(\.boundAddress)).count == 1)
    #expect(Set(all.map(\.descriptor)).count == 3)
    #expect(other.boundAddress != all[0].boundAddress)
    #expect(Set(sockets.taken) == Set(all + [other]))
    for socket in sockets.taken { sockets.release(socket) }
    #expect(sockets.taken == [])
  }

  @Test func `a port that a stranger shares freely is still taken`() throws {
    let stranger = try descriptor()
    defer { close(stranger) }
    let address = ListeningSocket(key: "", worker: 0, descriptor: stranger).boundAddress

    let error = #expect(throws: ListenError.self) { try ListeningSocket.bind(address) }

    #expect(error?.code == .addressTaken)
    #expect(error?.description.contains("(pid \(getpid()))") == true)
  }

  @Test(arguments: ["", "80", "host:80", ":80", "::1:80", "[::1]", "1.2.3.4:65536", "unix:", "a:b"])
  func `what is no address is refused with an example`(text: String) {
    let error = #expect(throws: ListenError.self) { try ListeningSocket.bind(text) }

    #expect(error?.code == .badAddress)
    #expect(error?.description.contains("0.0.0.0:8080") == true)
  }

  @Test func `an address of another machine is refused in words`() {
    let error = #expect(throws: ListenError.self) { try ListeningSocket.bind("192.0.2.1:8080") }

    #expect(error?.code == .notLocal)
  }

  @Test func `options that accepted sockets inherit stand on the listener`() throws {
    let socket = try descriptor()
    defer { close(socket) }
    var value: Int32 = 0
    var length = socklen_t(4)

    getsockopt(socket, Int32(IPPROTO_TCP), TCP_NODELAY, &value, &length)

    #expect(value != 0)
    #expect(ListeningSocket.flag(SO_KEEPALIVE, of: socket))
    #expect(ListeningSocket.flag(SO_REUSEPORT, of: socket))
  }

  @Test func `a socket file that nobody answers on is replaced, a living one is not`() throws {
    let path = "/tmp/spillway-\(getpid())-\(UInt32.random(in: 0 ... .max)).sock"
    defer { unlink(path) }
    close(try ListeningSocket.bind("unix:\(path)"))

    let living = try ListeningSocket.bind("unix:\(path)")
    let error = #expect(throws: ListenError.self) { try ListeningSocket.bind("unix:\(path)") }

    #expect(error?.code == .addressTaken)
    close(living)
  }

  @Test func `a file that is no socket is never removed`() {
    let path = "/tmp/spillway-\(getpid())-\(UInt32.random(in: 0 ... .max)).txt"
    FileText.replace(path, with: "precious")
    defer { unlink(path) }

    let error = #expect(throws: ListenError.self) { try ListeningSocket.bind("unix:\(path)") }

    #expect(error?.code == .addressTaken)
    #expect(FileText.read(path) == "precious")
  }

  @Test func `workers share the queue of a UNIX path`() throws {
    let path = "/tmp/spillway-\(getpid())-\(UInt32.random(in: 0 ... .max)).sock"
    defer { unlink(path) }
    let sockets = InheritedSockets()

    let first = try sockets.obtain("unix:\(path)", name: "main", worker: 0)
    let second = try sockets.obtain("unix:\(path)", name: "main", worker: 1)

    #expect(first.descriptor != second.descriptor)
    #expect(first.boundAddress == second.boundAddress)
    sockets.release(first)
    #expect(isOpen(second.descriptor))
    sockets.release(second)
  }

  @Test func `sockets of systemd count only for the process they are meant for`() {
    let environment = ["LISTEN_PID": "41", "LISTEN_FDS": "2", "LISTEN_FDNAMES": "public"]

    let mine = SystemdSockets.descriptors(environment, processID: 41)
    let others = SystemdSockets.descriptors(environment, processID: 42)

    #expect(mine.map(\.name) == ["public", "unknown"])
    #expect(mine.map(\.descriptor) == [3, 4])
    #expect(others.isEmpty)
  }

  @Test(arguments: ["", "0", "-1", "x", "999999999999", "100000"])
  func `a senseless LISTEN_FDS names no socket`(count: String) {
    let environment = ["LISTEN_PID": "41", "LISTEN_FDS": count]

    #expect(SystemdSockets.descriptors(environment, processID: 41).isEmpty)
  }
}
