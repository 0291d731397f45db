// swift-tools-version: 6.2
import PackageDescription

/// True when a sanitizer or a fuzzer needs the C library's own allocator in place of jemalloc.
let plainAllocator = Context.environment["SPILLWAY_PLAIN_MALLOC"] == "1"

/// Names of targets, with spaces between them, that are not built: sanitizers leave out what they do
/// not test.
let leftOut = Set(
  (Context.environment["SPILLWAY_WITHOUT"] ?? "").split(separator: " ").map(String.init)
)

let house: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .treatAllWarnings(as: .error),
  // Debug builds and every test check exclusive access while running; in a release build the checks
  // cost half of all instructions of a request (docs/decisions/0002).
  .unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release)),
]

let package = Package(
  name: "spillway",
  products: [
    .executable(name: "spillway", targets: ["spillway"]),
    .executable(name: "loadtest", targets: ["loadtest"]),
    // For the fuzz targets, a package of their own.
    .library(name: "HTTPCodec", targets: ["HTTPCodec"]),
    .library(name: "Routing", targets: ["Routing"]),
    .library(name: "Configuration", targets: ["Configuration"]),
    .library(name: "TLS", targets: ["TLS"]),
    .library(name: "Edge", targets: ["Edge"]),
    .library(name: "Upstream", targets: ["Upstream"]),
    .library(name: "Units", targets: ["Units"]),
  ],
  dependencies: [
    // YAML with line and column marks for every node.
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    // Subcommands, help texts and shell completion.
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    // The operational log; the access log has its own path.
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
  ],
  targets: [
    .executableTarget(
      name: "spillway",
      dependencies: [
        "Edge", "Configuration", "Routing", "Upstream", "Reactor", "Telemetry", "TLS", "Units",
        "CLinux",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "Logging", package: "swift-log"),
      ] + (plainAllocator ? [] : ["CJemalloc"]),
      swiftSettings: house + (plainAllocator ? [] : [.define("JEMALLOC")])
    ),
    // A small service to stand behind the edge in `make run`, the README and the smoke test.
    .executableTarget(name: "demo", swiftSettings: house),
    // The load harness: what is sent and what is judged; sockets; commands.
    .target(
      name: "LoadKit",
      dependencies: ["Configuration", "HTTPCodec", "Units"],
      path: "loadtest/LoadKit",
      swiftSettings: house
    ),
    .target(
      name: "LoadEngine",
      dependencies: [
        "LoadKit", "HTTPCodec", "TLS", "Reactor", "Telemetry", "Units", "CLinux",
      ],
      path: "loadtest/LoadEngine",
      swiftSettings: house
    ),
    .executableTarget(
      name: "loadtest",
      dependencies: [
        "LoadEngine", "LoadKit", "Configuration", "Reactor", "Telemetry", "Units",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ] + (plainAllocator ? [] : ["CJemalloc"]),
      path: "loadtest/loadtest",
      swiftSettings: house + (plainAllocator ? [] : [.define("JEMALLOC")])
    ),
    .target(
      name: "Edge",
      dependencies: [
        "Configuration", "Routing", "Upstream", "HTTPCodec", "TLS", "Reactor", "Telemetry",
        "Admission", "Units", "CLinux",
        .product(name: "Logging", package: "swift-log"),
      ],
      swiftSettings: house
    ),
    .target(
      name: "Configuration",
      dependencies: ["Routing", "HTTPCodec", "Units", .product(name: "Yams", package: "Yams")],
      swiftSettings: house
    ),
    .target(
      name: "Upstream",
      dependencies: ["Reactor", "Telemetry", "Units", "CCares", "CLinux"],
      swiftSettings: house
    ),
    .target(name: "Routing", dependencies: ["HTTPCodec", "Units"], swiftSettings: house),
    .target(
      name: "HTTPCodec",
      dependencies: ["Units", "CNghttp2"],
      // Sanitizers and fuzzers see into the C library's allocations, not into a pool of ours.
      swiftSettings: house + (plainAllocator ? [.define("PLAIN_MEMORY")] : [])
    ),
    .target(
      name: "TLS",
      dependencies: ["COpenSSL", "Units"],
      swiftSettings: house + (plainAllocator ? [.define("PLAIN_MEMORY")] : [])
    ),
    .target(
      name: "Reactor",
      dependencies: ["Telemetry", "Units", "CLinux"],
      swiftSettings: house
    ),
    .target(name: "Telemetry", dependencies: ["Units", "CLinux"], swiftSettings: house),
    // Prints what admission reaches in simulation: `make simulate`.
    .executableTarget(
      name: "admission-sim",
      dependencies: ["Simulation", "Admission"],
      swiftSettings: house
    ),
    .target(name: "Simulation", dependencies: ["Admission", "Units"], swiftSettings: house),
    .target(name: "Admission", dependencies: ["Units"], swiftSettings: house),
    .target(name: "Units", swiftSettings: house),
    // epoll, accept4 and io_uring as static inline functions: Glibc's own module lacks them.
    .systemLibrary(name: "CLinux", pkgConfig: "liburing", providers: [.apt(["liburing-dev"])]),
    // Names to addresses, with the TTLs that getaddrinfo hides.
    .systemLibrary(name: "CCares", pkgConfig: "libcares", providers: [.apt(["libc-ares-dev"])]),
    .systemLibrary(name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
    // HTTP/2 framing and HPACK; what a request may look like is judged in HTTPCodec.
    .systemLibrary(
      name: "CNghttp2",
      pkgConfig: "libnghttp2",
      providers: [.apt(["libnghttp2-dev"])]
    ),
    .systemLibrary(
      name: "CJemalloc",
      pkgConfig: "jemalloc",
      providers: [.apt(["libjemalloc-dev"])]
    ),
    .testTarget(name: "HousePlanTests", swiftSettings: house),
    .testTarget(
      name: "AdmissionTests",
      dependencies: ["Admission", "Simulation", "Units"],
      swiftSettings: house
    ),
    .testTarget(name: "UnitsTests", dependencies: ["Units"], swiftSettings: house),
    .testTarget(
      name: "TelemetryTests",
      dependencies: ["Telemetry", "Units"],
      swiftSettings: house
    ),
    .testTarget(
      name: "ReactorTests",
      dependencies: ["Reactor", "Telemetry", "Units", "CLinux"],
      swiftSettings: house
    ),
    .testTarget(
      name: "HTTPCodecTests",
      dependencies: ["HTTPCodec", "Units"],
      resources: [.copy("Vectors")],
      swiftSettings: house + (plainAllocator ? [.define("PLAIN_MEMORY")] : [])
    ),
    .testTarget(
      name: "TLSTests",
      dependencies: ["TLS", "Units", "COpenSSL"],
      swiftSettings: house
    ),
    .testTarget(
      name: "RoutingTests",
      dependencies: ["Routing", "HTTPCodec", "Units"],
      swiftSettings: house
    ),
    .testTarget(
      name: "ConfigurationTests",
      dependencies: ["Configuration", "Routing", "Units"],
      swiftSettings: house
    ),
    .testTarget(
      name: "UpstreamTests",
      dependencies: ["Upstream", "Reactor", "Telemetry", "Units", "CLinux"],
      swiftSettings: house
    ),
    .testTarget(
      name: "EdgeTests",
      dependencies: [
        "Edge", "Configuration", "Routing", "Upstream", "Admission", "HTTPCodec", "Reactor",
        "Telemetry", "Units", "CLinux", .product(name: "Logging", package: "swift-log"),
      ],
      swiftSettings: house
    ),
    .testTarget(
      name: "LoadKitTests",
      dependencies: ["LoadKit", "Configuration", "Units"],
      swiftSettings: house
    ),
    .testTarget(
      name: "LoadEngineTests",
      dependencies: [
        "LoadEngine", "LoadKit", "Configuration", "TLS", "Reactor", "Units", "CLinux",
      ],
      swiftSettings: house
    ),
    // The fuzz targets' own sources, without the fuzzer: replays what was found and keeps them built.
    .testTarget(
      name: "FuzzTests",
      dependencies: ["Edge", "Configuration", "Routing", "Upstream", "TLS", "HTTPCodec", "Units"],
      path: "Tests/Fuzz/Sources",
      swiftSettings: house
    ),
    // Runs the built executable as an operator would.
    .testTarget(
      name: "ProcessTests",
      dependencies: ["Reactor", "Units", "CLinux"],
      swiftSettings: house
    ),
    .testTarget(
      name: "WireTests",
      dependencies: [
        "Edge", "Configuration", "TLS", "HTTPCodec", "Reactor", "Telemetry", "Units", "CLinux",
        "COpenSSL",
      ],
      swiftSettings: house
    ),
  ]
)

package.targets.removeAll { leftOut.contains($0.name) }
package.products.removeAll { leftOut.contains($0.name) }
