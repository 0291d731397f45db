internal import ArgumentParser
internal import Configuration
internal import Glibc
internal import LoadEngine
internal import LoadKit
internal import Reactor
internal import Units

struct BackendCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "backend",
    abstract: "Run a simulated service of a stated capacity.",
    discussion: """
      Its capacity is workers / service time: 40 workers of 20 ms serve 2000/s. The control API \
      on the second port changes it while it runs:

        curl localhost:9001/stats
        curl localhost:9001/metrics
        curl -X POST 'localhost:9001/brownout?to=30%25'
        curl -X POST 'localhost:9001/shift?factor=3'     (slower, capacity stays)
        curl -X POST 'localhost:9001/slow?factor=3'      (slower, capacity falls)
        curl -X POST 'localhost:9001/faults?error=1%25&reset=1%25&hang=1%25&unavailable=1%25&drop=1%25&slowBody=1%25'
        curl -X POST localhost:9001/kill
        curl -X POST localhost:9001/recover
        curl -X POST localhost:9001/zero
      """
  )

  @Argument(help: "A YAML file with the service's settings.")
  var file: String?

  @Option(help: "The IP address to listen on.")
  var host = "127.0.0.1"

  @Option(help: "The service's port.")
  var port: UInt16 = 9_000

  @Option(help: "The control API's port; the one behind the service's by default.")
  var controlPort: UInt16?

  @Option(help: "Requests that are worked on at the same time.")
  var workers: Int?

  @Option(help: "How long each takes, such as 20ms.")
  var serviceTime: String?

  @Option(help: "Connections at once.")
  var connections = 32_768

  @Option(help: "epoll or io_uring.")
  var backend = "epoll"

  func run() throws {
    var settings = ServiceSettings()
    do {
      if let file {
        settings = try ServiceSource.parse(ConfigurationSource.text(of: file), file: file)
      }
    } catch {
      Console.fail(FaultReport(error, isColoured: isatty(2) != 0).text)
    }
    if let workers {
      guard (1...1_000_000).contains(workers) else {
        throw ValidationError("--workers must be from 1 to 1000000")
      }
      settings.workers = workers
    }
    if let serviceTime {
      guard let time = Quantity.duration(serviceTime, bareMilliseconds: false) else {
        throw ValidationError("--service-time must be a duration such as 20ms")
      }
      settings.serviceTime = .constant(time)
    }
    guard (1...60_000).contains(connections) else {
      throw ValidationError("--connections must be from 1 to 60000")
    }
    var options = Backend.Options()
    options.host = host
    options.port = port
    options.controlPort = controlPort ?? (port == 0 ? 0 : port &+ 1)
    options.connections = connections
    guard let kind = Reactor.Backend(rawValue: backend) else {
      throw ValidationError("--backend must be epoll or io_uring")
    }
    options.backend = kind
    Console.raiseDescriptorLimit()
    do {
      let service = try Backend(settings, options)
      let capacity = Decimal.text(settings.capacity, digits: 0)
      Console.say(
        "serving \(capacity)/s on \(host):\(service.port), control on \(host):\(service.controlPort)"
      )
      service.run()
    } catch {
      Console.fail("\(error)\n")
    }
  }
}
