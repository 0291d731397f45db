internal import Configuration
internal import Reactor
internal import Units
internal import Upstream

/// What the endpoints of one service are asked by health checks, prepared.
///
/// A snapshot holds it and its memory; a worker that makes checks holds it with them, so it may
/// outlive the snapshot.
final class CheckPlan: @unchecked Sendable {
  // Immutable after init, which is what makes it sendable.
  struct Endpoint {
    /// Keeps the place its own while it is checked.
    let lease: EndpointDirectory.Lease
    /// Where it listens; lives as long as the plan.
    let address: UnsafePointer<KernelAddress>
    let name: String
    let target: SecureTarget?
    let authority: HeldBytes
    /// The whole request of HTTP/1.1.
    let request: HeldBytes
  }

  let service: String
  /// The service's place in the process.
  let place: Int32
  let settings: CheckSettings
  let kind: HealthCheckSetting.Kind
  let http: EndpointHTTP
  let prelude: ClientPrelude
  let path: HeldBytes
  /// The message of a call of gRPC.
  let message: HeldBytes
  /// The time that a call of gRPC may take, as it is told.
  let callTimeout: HeldBytes
  let endpoints: [Endpoint]
  private let statuses: [ClosedRange<Int>]
  private let addresses: UnsafeMutablePointer<KernelAddress>
  private let places: UnsafeMutablePointer<Int32>

  /// - Returns: `nil` for a service that has no checks.
  init?(_ setting: ServiceSetting, _ compiled: Snapshot.ServiceEndpoints) {
    guard let check = setting.health else { return nil }
    service = setting.name
    place = compiled.service.place
    settings = CheckSettings(check)
    kind = check.kind
    http = compiled.service.http
    prelude = compiled.service.prelude
    statuses = check.statuses
    let isCall = check.kind == .grpc
    path = HeldBytes(isCall ? "/grpc.health.v1.Health/Check" : check.path)
    message = HeldBytes(GRPCHealth.request(service: check.grpcService))
    // At most eight digits and a unit (gRPC over HTTP/2).
    callTimeout = HeldBytes("\(max(1, Int(check.timeout.milliseconds)))m")
    let count = compiled.endpoints.count
    let addresses = UnsafeMutablePointer<KernelAddress>.allocate(capacity: max(1, count))
    places = .allocate(capacity: max(1, count))
    endpoints = compiled.endpoints.enumerated().map { index, endpoint in
      (addresses + index).initialize(to: endpoint.address)
      let authority = check.host ?? endpoint.authority
      return Endpoint(
        lease: endpoint.lease,
        address: UnsafePointer(addresses + index),
        name: endpoint.address.description,
        target: endpoint.target,
        authority: HeldBytes(authority),
        request: HeldBytes(HTTP1Check.request(path: check.path, authority: authority))
      )
    }
    for (index, endpoint) in endpoints.enumerated() {
      (places + index).initialize(to: endpoint.lease.place)
    }
    self.addresses = addresses
  }

  deinit {
    addresses.deallocate()
    places.deallocate()
  }

  /// Whether an answer to `kind: http` is the expected one.
  func expects(_ status: UInt16) -> Bool { statuses.contains { $0.contains(Int(status)) } }

  /// The service's endpoints, for one call.
  func fleet(_ health: HealthTable) -> CheckFleet {
    CheckFleet(
      places: UnsafeBufferPointer(start: places, count: endpoints.count),
      health: health,
      service: place,
      settings: settings
    )
  }
}

/// Bytes that stay where they are as long as somebody holds them.
final class HeldBytes: @unchecked Sendable {
  // Immutable after init, which is what makes it sendable.
  let start: UnsafePointer<UInt8>
  let count: Int

  init(_ bytes: [UInt8]) {
    let memory = UnsafeMutablePointer<UInt8>.allocate(capacity: max(1, bytes.count))
    memory.initialize(from: bytes, count: bytes.count)
    start = UnsafePointer(memory)
    count = bytes.count
  }

  convenience init(_ text: String) { self.init(Array(text.utf8)) }

  deinit { start.deallocate() }
}
