import Glibc

/// A service to put behind the edge: answers in JSON, says its name, can be slow, large or broken.

let options: DemoOptions
do {
  options = try DemoOptions(arguments: CommandLine.arguments.dropFirst())
} catch .helpWanted {
  print(DemoOptions.usage)
  exit(0)
} catch .wrong(let what) {
  Console.complain("demo: \(what)\n\(DemoOptions.usage)")
  exit(2)
}

// A client that goes away in the middle of an answer is no reason to end.
signal(SIGPIPE, SIG_IGN)

switch DemoListener.open(address: options.address, port: options.port) {
case .failed(let call, let code):
  let why = code == EADDRINUSE ? "the port is taken" : String(cString: strerror(code))
  Console.complain("demo: cannot listen on \(options.address):\(options.port): \(why) (\(call))")
  exit(1)
case .open(let listener):
  Console.complain("demo: \(options.name) listens on \(options.address):\(options.port)")
  listener.serve(name: options.name)
}
