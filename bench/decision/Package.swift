// swift-tools-version: 6.2
import PackageDescription

// The measurement of one admission decision, apart from the product: it links the product's own
// sources through symbolic links, so that nothing else has to be built.
let house: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release)),
]

let package = Package(
  name: "decision",
  targets: [
    .target(name: "Units", swiftSettings: house),
    .target(name: "Admission", dependencies: ["Units"], swiftSettings: house),
    .executableTarget(
      name: "decision",
      dependencies: ["Admission", "Units"],
      swiftSettings: house
    ),
  ]
)
