//! The `connect` block of a service: read whole, so that nothing is lost.

use model::job::{
    Connect, ExposeConfig, ExposePath, Gateway, GatewayBindAddress, GatewayProxy, GatewayTls, GatewayTlsSds,
    HttpHeaderModifiers, IngressConfig, IngressListener, IngressService, LinkedService, LogConfig, MeshConfig,
    MeshGateway, Proxy, SidecarService, SidecarTask, TerminatingConfig, TransparentProxy, Upstream, VolumeMount,
};

use crate::block::Block;
use crate::diagnostics::Problem;
use crate::{resources, task};

pub(crate) fn connect(block: &Block<'_>) -> Connect {
    Connect {
        native: block.get("native"),
        gateway: block.one("gateway", gateway),
        sidecar_service: block.one("sidecar_service", |block| SidecarService {
            tags: block.get("tags"),
            port: block.get("port"),
            disable_default_tcp_check: block.get("disable_default_tcp_check"),
            meta: block.free::<String>("meta"),
            proxy: block.one("proxy", proxy),
        }),
        sidecar_task: block.one("sidecar_task", sidecar_task),
    }
}

fn sidecar_task(block: &Block<'_>) -> SidecarTask {
    SidecarTask {
        name: block.get("name"),
        driver: block.get("driver"),
        user: block.get("user"),
        config: block.config("config"),
        env: block.either("env"),
        resources: block.one("resources", resources::resources),
        meta: block.either("meta"),
        kill_timeout: block.get("kill_timeout"),
        log_config: block.one("logs", |block| LogConfig {
            max_files: block.get("max_files"),
            max_file_size_mb: block.get("max_file_size"),
            enabled: block.get("enabled"),
            disabled: block.get("disabled"),
        }),
        shutdown_delay: block.get("shutdown_delay"),
        kill_signal: block.get("kill_signal"),
        volume_mounts: block.many("volume_mount", &[], |block| VolumeMount {
            volume: block.get("volume"),
            destination: block.get("destination"),
            read_only: block.get("read_only"),
            propagation_mode: block.get("propagation_mode"),
            selinux_label: block.get("selinux_label"),
        }),
        identities: block.many("identity", &[], task::identity),
    }
}

fn proxy(block: &Block<'_>) -> Proxy {
    Proxy {
        local_service_address: block.get("local_service_address"),
        local_service_port: block.get("local_service_port"),
        expose: block.one("expose", |block| ExposeConfig {
            paths: block.many("path", &[], |block| ExposePath {
                path: block.get("path"),
                protocol: block.get("protocol"),
                local_path_port: block.get("local_path_port"),
                listener_port: block.get("listener_port"),
            }),
            path: None,
        }),
        expose_config: None,
        upstreams: block.many("upstreams", &[], upstream),
        transparent_proxy: block.one("transparent_proxy", |block| TransparentProxy {
            uid: block.get("uid"),
            outbound_port: port(block, "outbound_port"),
            exclude_inbound_ports: block.get("exclude_inbound_ports"),
            exclude_outbound_ports: ports(block, "exclude_outbound_ports"),
            exclude_outbound_cidrs: block.get("exclude_outbound_cidrs"),
            exclude_uids: block.get("exclude_uids"),
            no_dns: block.get("no_dns"),
        }),
        config: block.config("config"),
    }
}

/// Ports of 16 bits.
fn ports(block: &Block<'_>, name: &'static str) -> Option<Vec<u64>> {
    let numbers: Option<Vec<u64>> = block.get(name);
    if let Some(number) = numbers.iter().flatten().find(|number| **number > 65_535) {
        let message = format!("{name}: there is no port {number}, the largest is 65535");
        block.session.report(Problem { message, span: block.place(name), help: None });
    }
    numbers
}

/// A port of 16 bits.
fn port(block: &Block<'_>, name: &'static str) -> u64 {
    let number: u64 = block.get(name);
    if number > 65_535 {
        let message = format!("{name}: there is no port {number}, the largest is 65535");
        block.session.report(Problem { message, span: block.place(name), help: None });
    }
    number
}

fn upstream(block: &Block<'_>) -> Upstream {
    Upstream {
        destination_name: block.get("destination_name"),
        destination_namespace: block.get("destination_namespace"),
        destination_peer: block.get("destination_peer"),
        destination_partition: block.get("destination_partition"),
        destination_type: block.get("destination_type"),
        local_bind_port: block.get("local_bind_port"),
        local_bind_address: block.get("local_bind_address"),
        local_bind_socket_path: block.get("local_bind_socket_path"),
        local_bind_socket_mode: block.get("local_bind_socket_mode"),
        datacenter: block.get("datacenter"),
        mesh_gateway: block.one("mesh_gateway", |block| MeshGateway { mode: block.get("mode") }),
        config: block.config("config"),
    }
}

fn gateway(block: &Block<'_>) -> Gateway {
    Gateway {
        proxy: block.one("proxy", |block| GatewayProxy {
            connect_timeout: block.get("connect_timeout"),
            envoy_gateway_bind_tagged_addresses: block.get("envoy_gateway_bind_tagged_addresses"),
            envoy_gateway_bind_addresses: block
                .many("envoy_gateway_bind_addresses", &["name"], |block| GatewayBindAddress {
                    name: block.label(0),
                    address: block.get("address"),
                    port: block.get("port"),
                })
                .map(|all| all.into_iter().map(|address| (address.name.clone(), address)).collect()),
            envoy_gateway_no_default_bind: block.get("envoy_gateway_no_default_bind"),
            envoy_dns_discovery_type: block.get("envoy_dns_discovery_type"),
            config: block.config("config"),
        }),
        ingress: block.one("ingress", |block| IngressConfig {
            tls: block.one("tls", gateway_tls),
            listeners: block.many("listener", &[], |block| IngressListener {
                port: block.get("port"),
                protocol: block.get("protocol"),
                services: block.many("service", &[], ingress_service),
            }),
        }),
        terminating: block.one("terminating", |block| TerminatingConfig {
            services: block.many("service", &[], |block| LinkedService {
                name: block.get("name"),
                ca_file: block.get("ca_file"),
                cert_file: block.get("cert_file"),
                key_file: block.get("key_file"),
                sni: block.get("sni"),
            }),
        }),
        mesh: block.one("mesh", |_| MeshConfig {}),
    }
}

fn gateway_tls(block: &Block<'_>) -> GatewayTls {
    GatewayTls {
        enabled: block.get("enabled"),
        tls_min_version: block.get("tls_min_version"),
        tls_max_version: block.get("tls_max_version"),
        cipher_suites: block.get("cipher_suites"),
        sds: block.one("sds", |block| GatewayTlsSds {
            cluster_name: block.get("cluster_name"),
            cert_resource: block.get("cert_resource"),
        }),
    }
}

fn ingress_service(block: &Block<'_>) -> IngressService {
    let headers = |block: &Block<'_>| HttpHeaderModifiers {
        add: block.free::<String>("add"),
        set: block.free::<String>("set"),
        remove: block.get("remove"),
    };
    IngressService {
        name: block.get("name"),
        hosts: block.get("hosts"),
        tls: block.one("tls", gateway_tls),
        request_headers: block.one("request_headers", headers),
        response_headers: block.one("response_headers", headers),
        max_connections: block.get("max_connections"),
        max_pending_requests: block.get("max_pending_requests"),
        max_concurrent_requests: block.get("max_concurrent_requests"),
    }
}
