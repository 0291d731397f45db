internal import Admission
internal import Configuration
internal import Glibc
internal import Reactor
internal import Routing
internal import Telemetry
internal import Upstream

/// All that requests are decided by, immutable: routes, services, endpoints, prepared replies.
///
/// The slow plane makes one for each accepted configuration and each changed list of endpoints; a
/// worker adopts the newest between events. Requests read plain memory through pointers that live
/// as long as the snapshot, so nothing on their path counts references.
final class Snapshot: @unchecked Sendable {
  // Immutable after init, which is what makes it sendable.
  let routes: RouteTable
  private let finder: RouteFinder
  let replies: PreparedReplies
  let classes: ClassNames
  /// Its services for those who ask about them, each once.
  let roster: [HealthReport.Service]
  /// What endpoints are asked by health checks, for services that have them.
  let checks: [CheckPlan]
  /// The admissions of its services, each once.
  let admissions: [AdmissionSlot]
  /// Of services that have retries, each once, and what routes have repeated.
  let retries: [ServiceRetries]
  let retryPolicies: RetryPolicies
  /// Of routes that have hedges, each once.
  let hedges: [RouteHedges]
  let configVersion: Int
  /// How the edge's own calls are served.
  let calls: CallPlan
  /// Addresses of services with a source of endpoints for which there was no room.
  let leftOut: [String: Int]
  /// At which pressures the process sheds.
  let overload: EdgePressure.Settings
  let places: UnsafePointer<Int32>
  let placeCount: Int
  /// Which requests the access log keeps, `nil` where there is none.
  let sampling: SampleTable?
  /// Listener settings by the listener's place in the process.
  let listeners: [ListenerSettings]
  private let routeTable: UnsafeMutablePointer<CompiledRoute>
  private let serviceTable: UnsafeMutablePointer<CompiledService>
  private let placeTable: UnsafeMutablePointer<Int32>
  private let addressTable: UnsafeMutablePointer<KernelAddress>
  private let nameTable: UnsafeMutablePointer<NameID>
  private let hedgeTable: UnsafeMutablePointer<CompiledHedge>
  private let routeCount: Int
  let serviceCount: Int
  /// What services say of their endpoints, and who holds the memory of that.
  private let policyTable: UnsafeMutablePointer<ServicePolicy>
  private let policies: [ServicePolicyMemory]
  /// The TLS of endpoints in the order of `places`, `nil` in clear.
  private let targets: [SecureTarget?]
  private let leases: [EndpointDirectory.Lease]
  private let nameLeases: [NameTable.Lease]

  /// One service with the endpoints that it has now.
  struct ServiceEndpoints {
    var service: CompiledService
    var endpoints: [Endpoint]
    var policy: ServicePolicyMemory?
  }

  struct Endpoint {
    var lease: EndpointDirectory.Lease
    var address: KernelAddress
    var name: NameTable.Lease
    /// How it is spoken to over TLS.
    var target: SecureTarget?
    var traits = EndpointTraits()
    /// As the configuration names it: what checks ask it for.
    var authority = ""
  }

  init(
    routes: RouteTable,
    compiled: [CompiledRoute],
    services: [ServiceEndpoints],
    replies: PreparedReplies,
    listeners: [ListenerSettings],
    sampling: SampleTable?,
    configVersion: Int,
    classes: ClassNames = ClassNames([""]),
    admissions: [AdmissionSlot] = [],
    overload: EdgePressure.Settings = EdgePressure.Settings(),
    retries: [ServiceRetries] = [],
    retryPolicies: RetryPolicies = RetryPolicies([]),
    hedged: [CompiledHedge] = [],
    hedges: [RouteHedges] = [],
    roster: [HealthReport.Service] = [],
    checks: [CheckPlan] = [],
    leftOut: [String: Int] = [:],
    calls: CallPlan = CallPlan()
  ) {
    self.calls = calls
    self.leftOut = leftOut
    self.checks = checks
    self.roster = roster
    self.routes = routes
    finder = routes.finder
    self.replies = replies
    self.configVersion = configVersion
    self.classes = classes
    self.admissions = admissions
    self.overload = overload
    self.retries = retries
    self.retryPolicies = retryPolicies
    self.hedges = hedges
    hedgeTable = .allocate(capacity: max(1, hedged.count))
    hedgeTable.initialize(from: hedged, count: hedged.count)
    self.listeners = listeners
    self.sampling = sampling
    routeCount = compiled.count
    serviceCount = services.count
    routeTable = .allocate(capacity: max(1, compiled.count))
    routeTable.initialize(from: compiled, count: compiled.count)
    serviceTable = .allocate(capacity: max(1, services.count))
    let total = services.reduce(0) { $0 + $1.endpoints.count }
    placeTable = .allocate(capacity: max(1, total))
    addressTable = .allocate(capacity: max(1, total))
    nameTable = .allocate(capacity: max(1, total))
    placeCount = total
    var leases: [EndpointDirectory.Lease] = []
    var nameLeases: [NameTable.Lease] = []
    var targets: [SecureTarget?] = []
    var next = 0
    policies = services.compactMap(\.policy)
    policyTable = .allocate(capacity: max(1, policies.count))
    var nextPolicy = 0
    for (index, entry) in services.enumerated() {
      var service = entry.service
      if let policy = entry.policy {
        (policyTable + nextPolicy).initialize(to: policy.policy)
        service.policy = Int32(nextPolicy)
        nextPolicy += 1
      }
      service.firstEndpoint = Int32(next)
      service.endpointCount = Int32(entry.endpoints.count)
      (serviceTable + index).initialize(to: service)
      for endpoint in entry.endpoints {
        (placeTable + next).initialize(to: endpoint.lease.place)
        (addressTable + next).initialize(to: endpoint.address)
        (nameTable + next).initialize(to: endpoint.name.id)
        nameLeases.append(endpoint.name)
        leases.append(endpoint.lease)
        targets.append(endpoint.target)
        next += 1
      }
    }
    places = UnsafePointer(placeTable)
    self.leases = leases
    self.nameLeases = nameLeases
    self.targets = targets
  }

  deinit {
    routeTable.deallocate()
    serviceTable.deallocate()
    placeTable.deallocate()
    addressTable.deallocate()
    nameTable.deallocate()
    policyTable.deallocate()
    hedgeTable.deallocate()
    classes.deallocate()
  }

  /// The route of a request, without a count of references for the table.
  func find(_ request: RouteRequest) -> RouteLookup {
    finder.find(request)
  }

  func route(_ index: Int32) -> UnsafePointer<CompiledRoute> {
    UnsafePointer(routeTable + Int(index))
  }

  func hedge(_ index: Int32) -> UnsafePointer<CompiledHedge> {
    UnsafePointer(hedgeTable + Int(index))
  }

  /// Why a response to a route's request is worth another attempt, `nil` where it is not.
  func retryCause(of view: ResponseView, _ route: Int32) -> RetryCause? {
    let table = retryPolicies.table
    return table.cause(of: view, table[routeTable[Int(route)].retry])
  }

  func policy(_ index: Int32) -> UnsafePointer<ServicePolicy> {
    UnsafePointer(policyTable + Int(index))
  }

  /// Services by their places, with their endpoints' places among `places`.
  var serviceRanges: [(service: CompiledService, range: Range<Int>)] {
    (0..<serviceCount).map { index in
      let service = serviceTable[index]
      let first = Int(service.firstEndpoint)
      return (service, first..<(first + Int(service.endpointCount)))
    }
  }

  func service(_ index: Int32) -> UnsafePointer<CompiledService> {
    UnsafePointer(serviceTable + Int(index))
  }

  /// Where a service's endpoint listens; the pointer lives as long as the snapshot.
  func address(
    of place: Int32,
    in service: UnsafePointer<CompiledService>
  ) -> UnsafePointer<KernelAddress> {
    UnsafePointer(addressTable + index(of: place, in: service))
  }

  /// Whether a service has the endpoint at a place.
  func hasEndpoint(_ place: Int32, in service: UnsafePointer<CompiledService>) -> Bool {
    let first = Int(service.pointee.firstEndpoint)
    return (first..<(first + Int(service.pointee.endpointCount))).contains {
      placeTable[$0] == place
    }
  }

  /// How a service's endpoint is spoken to over TLS, `nil` in clear.
  func target(of place: Int32, in service: UnsafePointer<CompiledService>) -> SecureTarget? {
    targets[index(of: place, in: service)]
  }

  /// An endpoint's address as the access log writes it.
  func endpointName(of place: Int32, in service: UnsafePointer<CompiledService>) -> NameID {
    nameTable[index(of: place, in: service)]
  }

  /// What keeps an endpoint's place and name its own.
  func leases(
    of place: Int32,
    in service: UnsafePointer<CompiledService>
  ) -> (place: EndpointDirectory.Lease, name: NameTable.Lease) {
    let index = index(of: place, in: service)
    return (leases[index], nameLeases[index])
  }

  private func index(of place: Int32, in service: UnsafePointer<CompiledService>) -> Int {
    var index = Int(service.pointee.firstEndpoint)
    let end = index + Int(service.pointee.endpointCount)
    while index < end - 1, placeTable[index] != place { index += 1 }
    return index
  }

  /// The use of each place, so that a worker can tell a new endpoint from the one before.
  func epoch(at index: Int) -> UInt32 { leases[index].epoch }
}
