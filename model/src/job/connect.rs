//! Consul service mesh blocks: kept in the document so that nothing is lost, not run.

use std::collections::BTreeMap;

use super::{LogConfig, Resources, VolumeMount, WorkloadIdentity};
use crate::go_json::go_json;
use crate::time::GoDuration;

go_json! {
    /// Mesh settings of a service.
    pub struct Connect {
        native: bool = "Native",
        gateway: Option<Gateway> = "Gateway",
        sidecar_service: Option<SidecarService> = "SidecarService",
        sidecar_task: Option<SidecarTask> = "SidecarTask",
    }
}

go_json! {
    /// The sidecar of a mesh service.
    pub struct SidecarService {
        tags: Option<Vec<String>> = "Tags",
        port: String = "Port",
        proxy: Option<Proxy> = "Proxy",
        disable_default_tcp_check: bool = "DisableDefaultTCPCheck",
        meta: Option<BTreeMap<String, String>> = "Meta",
    }
}

go_json! {
    /// Overrides for the sidecar's task.
    pub struct SidecarTask {
        name: String = "Name",
        driver: String = "Driver",
        user: String = "User",
        config: Option<BTreeMap<String, serde_json::Value>> = "Config",
        env: Option<BTreeMap<String, String>> = "Env",
        resources: Option<Resources> = "Resources",
        meta: Option<BTreeMap<String, String>> = "Meta",
        kill_timeout: Option<GoDuration> = "KillTimeout",
        log_config: Option<LogConfig> = "LogConfig",
        shutdown_delay: Option<GoDuration> = "ShutdownDelay",
        kill_signal: String = "KillSignal",
        volume_mounts: Option<Vec<VolumeMount>> = "VolumeMounts",
        identities: Option<Vec<WorkloadIdentity>> = "Identities",
    }
}

go_json! {
    /// Proxy settings of a sidecar.
    pub struct Proxy {
        local_service_address: String = "LocalServiceAddress",
        local_service_port: i64 = "LocalServicePort",
        expose: Option<ExposeConfig> = "Expose",
        expose_config: Option<ExposeConfig> = "ExposeConfig",
        upstreams: Option<Vec<Upstream>> = "Upstreams",
        transparent_proxy: Option<TransparentProxy> = "TransparentProxy",
        config: Option<BTreeMap<String, serde_json::Value>> = "Config",
    }
}

go_json! {
    /// Paths that a proxy lets through without mesh identity.
    pub struct ExposeConfig {
        paths: Option<Vec<ExposePath>> = "Paths",
        path: Option<Vec<ExposePath>> = "Path",
    }
}

go_json! {
    /// One exposed path.
    pub struct ExposePath {
        path: String = "Path",
        protocol: String = "Protocol",
        local_path_port: i64 = "LocalPathPort",
        listener_port: String = "ListenerPort",
    }
}

go_json! {
    /// A mesh service that this one talks to.
    pub struct Upstream {
        destination_name: String = "DestinationName",
        destination_namespace: String = "DestinationNamespace",
        destination_peer: String = "DestinationPeer",
        destination_partition: String = "DestinationPartition",
        destination_type: String = "DestinationType",
        local_bind_port: i64 = "LocalBindPort",
        local_bind_address: String = "LocalBindAddress",
        local_bind_socket_path: String = "LocalBindSocketPath",
        local_bind_socket_mode: String = "LocalBindSocketMode",
        datacenter: String = "Datacenter",
        mesh_gateway: Option<MeshGateway> = "MeshGateway",
        config: Option<BTreeMap<String, serde_json::Value>> = "Config",
    }
}

go_json! {
    /// How an upstream crosses datacenters.
    pub struct MeshGateway {
        mode: String = "Mode",
    }
}

go_json! {
    /// Settings of transparent proxying.
    pub struct TransparentProxy {
        uid: String = "UID",
        outbound_port: u64 = "OutboundPort",
        exclude_inbound_ports: Option<Vec<String>> = "ExcludeInboundPorts",
        exclude_outbound_ports: Option<Vec<u64>> = "ExcludeOutboundPorts",
        exclude_outbound_cidrs: Option<Vec<String>> = "ExcludeOutboundCIDRs",
        exclude_uids: Option<Vec<String>> = "ExcludeUIDs",
        no_dns: bool = "NoDNS",
    }
}

go_json! {
    /// A mesh gateway.
    pub struct Gateway {
        proxy: Option<GatewayProxy> = "Proxy",
        ingress: Option<IngressConfig> = "Ingress",
        terminating: Option<TerminatingConfig> = "Terminating",
        mesh: Option<MeshConfig> = "Mesh",
    }
}

go_json! {
    /// Proxy settings of a gateway.
    pub struct GatewayProxy {
        connect_timeout: Option<GoDuration> = "ConnectTimeout",
        envoy_gateway_bind_tagged_addresses: bool = "EnvoyGatewayBindTaggedAddresses",
        envoy_gateway_bind_addresses: Option<BTreeMap<String, GatewayBindAddress>> = "EnvoyGatewayBindAddresses",
        envoy_gateway_no_default_bind: bool = "EnvoyGatewayNoDefaultBind",
        envoy_dns_discovery_type: String = "EnvoyDNSDiscoveryType",
        config: Option<BTreeMap<String, serde_json::Value>> = "Config",
    }
}

go_json! {
    /// An address a gateway listens on.
    pub struct GatewayBindAddress {
        name: String = "Name",
        address: String = "Address",
        port: i64 = "Port",
    }
}

go_json! {
    /// Listeners of an ingress gateway.
    pub struct IngressConfig {
        tls: Option<GatewayTls> = "TLS",
        listeners: Option<Vec<IngressListener>> = "Listeners",
    }
}

go_json! {
    /// TLS settings of a gateway.
    pub struct GatewayTls {
        enabled: bool = "Enabled",
        tls_min_version: String = "TLSMinVersion",
        tls_max_version: String = "TLSMaxVersion",
        cipher_suites: Option<Vec<String>> = "CipherSuites",
        sds: Option<GatewayTlsSds> = "SDS",
    }
}

go_json! {
    /// A certificate fetched by secret discovery.
    pub struct GatewayTlsSds {
        cluster_name: String = "ClusterName",
        cert_resource: String = "CertResource",
    }
}

go_json! {
    /// One listener of an ingress gateway.
    pub struct IngressListener {
        port: i64 = "Port",
        protocol: String = "Protocol",
        services: Option<Vec<IngressService>> = "Services",
    }
}

go_json! {
    /// One service behind a listener.
    pub struct IngressService {
        name: String = "Name",
        hosts: Option<Vec<String>> = "Hosts",
        tls: Option<GatewayTls> = "TLS",
        request_headers: Option<HttpHeaderModifiers> = "RequestHeaders",
        response_headers: Option<HttpHeaderModifiers> = "ResponseHeaders",
        max_connections: Option<u64> = "MaxConnections",
        max_pending_requests: Option<u64> = "MaxPendingRequests",
        max_concurrent_requests: Option<u64> = "MaxConcurrentRequests",
    }
}

go_json! {
    /// Headers added, set or removed on the way.
    pub struct HttpHeaderModifiers {
        add: Option<BTreeMap<String, String>> = "Add",
        set: Option<BTreeMap<String, String>> = "Set",
        remove: Option<Vec<String>> = "Remove",
    }
}

go_json! {
    /// Services behind a terminating gateway.
    pub struct TerminatingConfig {
        services: Option<Vec<LinkedService>> = "Services",
    }
}

go_json! {
    /// One service outside the mesh.
    pub struct LinkedService {
        name: String = "Name",
        ca_file: String = "CAFile",
        cert_file: String = "CertFile",
        key_file: String = "KeyFile",
        sni: String = "SNI",
    }
}

go_json! {
    /// A mesh gateway has no settings of its own.
    pub struct MeshConfig {
    }
}
