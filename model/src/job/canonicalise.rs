//! Defaults: what the API fills in before a job is compared or stored, and what the server adds to that.

use std::collections::BTreeMap;

use super::{
    Affinity, CheckRestart, Connect, Consul, EphemeralDisk, Job, LogConfig, MigrateStrategy, Multiregion,
    MultiregionStrategy, PeriodicConfig, ReschedulePolicy, Resources, RestartPolicy, ScalingPolicy, Service,
    ServiceCheck, Spread, Task, TaskArtifact, TaskGroup, Template, UpdateStrategy, Vault, VolumeMount,
};
use crate::time::GoDuration;

/// The provider of a service that names none: drover's own catalog.
pub const DEFAULT_PROVIDER: &str = "nomad";

/// Puts `default` where nothing is written.
fn fill<T>(slot: &mut Option<T>, default: T) {
    if slot.is_none() {
        *slot = Some(default);
    }
}

/// Puts `default` where the text is empty.
fn fill_text(slot: &mut String, default: &str) {
    if slot.is_empty() {
        default.clone_into(slot);
    }
}

/// Puts `default` where nothing or an empty text is written.
fn fill_option(slot: &mut Option<String>, default: &str) {
    if slot.as_deref().is_none_or(str::is_empty) {
        *slot = Some(default.to_owned());
    }
}

impl Job {
    /// Fills in every default of the language. Doing it twice changes nothing more.
    pub fn canonicalise(&mut self) {
        if self.id.is_none() {
            self.id = Some(self.name.clone().unwrap_or_default());
        }
        if self.name.is_none() {
            self.name = self.id.clone();
        }
        for slot in [
            &mut self.parent_id,
            &mut self.node_pool,
            &mut self.consul_namespace,
            &mut self.vault_namespace,
            &mut self.nomad_token_id,
            &mut self.status,
            &mut self.status_description,
        ] {
            fill(slot, String::new());
        }
        fill(&mut self.region, "global".to_owned());
        fill(&mut self.namespace, "default".to_owned());
        fill(&mut self.r#type, "service".to_owned());
        fill(&mut self.priority, 50);
        for slot in [&mut self.stop, &mut self.all_at_once, &mut self.stable] {
            fill(slot, false);
        }
        for slot in [&mut self.create_index, &mut self.modify_index, &mut self.job_modify_index, &mut self.version] {
            fill(slot, 0);
        }
        if let Some(periodic) = &mut self.periodic {
            periodic.canonicalise();
        }
        if let Some(multiregion) = &mut self.multiregion {
            multiregion.canonicalise();
        }
        if self.update.is_none() && (self.is_type("service") || self.is_type("system")) {
            self.update = Some(UpdateStrategy::standard());
        }
        if let Some(update) = &mut self.update {
            update.canonicalise();
        }
        canonicalise_rules(&mut self.spreads, &mut self.affinities);
        let mut groups = self.task_groups.take();
        for group in groups.iter_mut().flatten() {
            group.canonicalise(self);
        }
        self.task_groups = groups;
    }

    /// What the server fills in beyond that when a job is registered: places, and an identity for each task.
    pub fn fill_server_defaults(&mut self) {
        fill_option(&mut self.namespace, "default");
        fill_option(&mut self.node_pool, "default");
        fill(&mut self.priority, 50);
        if self.datacenters.as_ref().is_none_or(Vec::is_empty) {
            self.datacenters = Some(vec!["*".to_owned()]);
        }
        for task in self.task_groups.iter_mut().flatten().flat_map(|group| group.tasks.iter_mut().flatten()) {
            let identity = task.identity.get_or_insert_default();
            fill_text(&mut identity.name, "default");
            identity.audience = Some(vec!["nomadproject.io".to_owned()]);
        }
    }

    fn is_type(&self, kind: &str) -> bool {
        self.r#type.as_deref().unwrap_or("service") == kind
    }
}

fn canonicalise_rules(spreads: &mut Option<Vec<Spread>>, affinities: &mut Option<Vec<Affinity>>) {
    for spread in spreads.iter_mut().flatten() {
        fill(&mut spread.weight, 50);
    }
    for affinity in affinities.iter_mut().flatten() {
        fill(&mut affinity.weight, 50);
    }
}

impl PeriodicConfig {
    fn canonicalise(&mut self) {
        fill(&mut self.enabled, true);
        fill(&mut self.spec, String::new());
        fill(&mut self.specs, Vec::new());
        fill(&mut self.spec_type, "cron".to_owned());
        fill(&mut self.prohibit_overlap, false);
        fill_option(&mut self.time_zone, "UTC");
    }
}

impl Multiregion {
    fn canonicalise(&mut self) {
        let strategy = self.strategy.get_or_insert_with(MultiregionStrategy::default);
        fill(&mut strategy.max_parallel, 0);
        fill(&mut strategy.on_failure, String::new());
        for region in self.regions.get_or_insert_default() {
            fill(&mut region.count, 1);
            fill(&mut region.datacenters, Vec::new());
            fill(&mut region.meta, Default::default());
        }
    }
}

impl UpdateStrategy {
    /// The strategy of services and system jobs that write none.
    pub fn standard() -> UpdateStrategy {
        UpdateStrategy {
            stagger: Some(GoDuration::from_secs(30)),
            max_parallel: Some(1),
            health_check: Some("checks".to_owned()),
            min_healthy_time: Some(GoDuration::from_secs(10)),
            healthy_deadline: Some(GoDuration::from_secs(300)),
            progress_deadline: Some(GoDuration::from_secs(600)),
            canary: Some(0),
            auto_revert: Some(false),
            auto_promote: Some(false),
        }
    }

    /// `max_parallel = 0` and nothing else: no rolling update at all.
    fn is_off(&self) -> bool {
        let zero = |span: Option<GoDuration>| span.unwrap_or_default() == GoDuration(0);
        self.max_parallel == Some(0)
            && zero(self.stagger)
            && zero(self.min_healthy_time)
            && zero(self.healthy_deadline)
            && zero(self.progress_deadline)
            && self.health_check.as_deref().unwrap_or_default().is_empty()
            && self.canary.unwrap_or_default() == 0
            && !self.auto_revert.unwrap_or_default()
            && !self.auto_promote.unwrap_or_default()
    }

    fn canonicalise(&mut self) {
        if self.is_off() {
            *self = UpdateStrategy {
                stagger: Some(GoDuration(0)),
                max_parallel: Some(0),
                health_check: Some(String::new()),
                min_healthy_time: Some(GoDuration(0)),
                healthy_deadline: Some(GoDuration(0)),
                progress_deadline: Some(GoDuration(0)),
                canary: Some(0),
                auto_revert: Some(false),
                auto_promote: Some(false),
            };
            return;
        }
        *self = self.over(&UpdateStrategy::standard());
    }

    /// This strategy where it says something, `base` elsewhere.
    fn over(&self, base: &UpdateStrategy) -> UpdateStrategy {
        let health_check = self.health_check.clone().filter(|text| !text.is_empty());
        UpdateStrategy {
            stagger: self.stagger.or(base.stagger),
            max_parallel: self.max_parallel.or(base.max_parallel),
            health_check: health_check.or_else(|| base.health_check.clone()),
            min_healthy_time: self.min_healthy_time.or(base.min_healthy_time),
            healthy_deadline: self.healthy_deadline.or(base.healthy_deadline),
            progress_deadline: self.progress_deadline.or(base.progress_deadline),
            canary: self.canary.or(base.canary),
            auto_revert: self.auto_revert.or(base.auto_revert),
            auto_promote: self.auto_promote.or(base.auto_promote),
        }
    }
}

impl MigrateStrategy {
    fn over(&self, base: &MigrateStrategy) -> MigrateStrategy {
        MigrateStrategy {
            max_parallel: self.max_parallel.or(base.max_parallel),
            health_check: self.health_check.clone().or_else(|| base.health_check.clone()),
            min_healthy_time: self.min_healthy_time.or(base.min_healthy_time),
            healthy_deadline: self.healthy_deadline.or(base.healthy_deadline),
        }
    }

    fn standard() -> MigrateStrategy {
        MigrateStrategy {
            max_parallel: Some(1),
            health_check: Some("checks".to_owned()),
            min_healthy_time: Some(GoDuration::from_secs(10)),
            healthy_deadline: Some(GoDuration::from_secs(300)),
        }
    }
}

impl ReschedulePolicy {
    fn over(&self, base: &ReschedulePolicy) -> ReschedulePolicy {
        ReschedulePolicy {
            attempts: self.attempts.or(base.attempts),
            interval: self.interval.or(base.interval),
            delay: self.delay.or(base.delay),
            delay_function: self.delay_function.clone().or_else(|| base.delay_function.clone()),
            max_delay: self.max_delay.or(base.max_delay),
            unlimited: self.unlimited.or(base.unlimited),
        }
    }

    /// Defaults by job type; system and sysbatch jobs have none.
    fn standard(kind: &str) -> ReschedulePolicy {
        let (attempts, interval, delay, function, max_delay, unlimited) = match kind {
            "service" => (0, 0, 30, "exponential", 3600, true),
            "batch" => (1, 86_400, 5, "constant", 0, false),
            _ => (0, 0, 0, "", 0, false),
        };
        ReschedulePolicy {
            attempts: Some(attempts),
            interval: Some(GoDuration::from_secs(interval)),
            delay: Some(GoDuration::from_secs(delay)),
            delay_function: Some(function.to_owned()),
            max_delay: Some(GoDuration::from_secs(max_delay)),
            unlimited: Some(unlimited),
        }
    }
}

impl RestartPolicy {
    fn over(&self, base: &RestartPolicy) -> RestartPolicy {
        RestartPolicy {
            attempts: self.attempts.or(base.attempts),
            interval: self.interval.or(base.interval),
            delay: self.delay.or(base.delay),
            mode: self.mode.clone().or_else(|| base.mode.clone()),
            render_templates: self.render_templates.or(base.render_templates),
        }
    }

    fn standard(kind: &str) -> RestartPolicy {
        let batch = kind != "service" && kind != "system";
        RestartPolicy {
            attempts: Some(if batch { 3 } else { 2 }),
            interval: Some(GoDuration::from_secs(if batch { 86_400 } else { 1800 })),
            delay: Some(GoDuration::from_secs(15)),
            mode: Some("fail".to_owned()),
            render_templates: Some(false),
        }
    }
}

impl TaskGroup {
    fn canonicalise(&mut self, job: &Job) {
        let kind = job.r#type.clone().unwrap_or_default();
        fill(&mut self.name, String::new());
        if let Some(scaling) = &mut self.scaling {
            scaling.canonicalise(self.count);
        }
        if self.count.is_none() {
            self.count = Some(self.scaling.as_ref().and_then(|scaling| scaling.min).unwrap_or(1));
        }
        canonicalise_rules(&mut self.spreads, &mut self.affinities);
        let disk = self.ephemeral_disk.get_or_insert_with(EphemeralDisk::default);
        fill(&mut disk.sticky, false);
        fill(&mut disk.size_mb, 300);
        fill(&mut disk.migrate, false);
        if let Some(consul) = &mut self.consul {
            canonicalise_consul(consul);
        }
        self.canonicalise_policies(job, &kind);
        let group_name = self.name.clone().unwrap_or_default();
        let job_name = job.name.clone().unwrap_or_default();
        for service in self.services.iter_mut().flatten() {
            canonicalise_service(service, &job_name, &group_name, None);
        }
        let restart = self.restart_policy.clone().unwrap_or_default();
        for task in self.tasks.iter_mut().flatten() {
            task.canonicalise(&job_name, &group_name, &restart);
        }
    }

    fn canonicalise_policies(&mut self, job: &Job, kind: &str) {
        let restart = self.restart_policy.take().unwrap_or_default();
        self.restart_policy = Some(restart.over(&RestartPolicy::standard(kind)));
        let written = match (&self.reschedule_policy, &job.reschedule) {
            (Some(own), Some(base)) => Some(own.over(base)),
            (own, base) => own.clone().or_else(|| base.clone()),
        };
        self.reschedule_policy = match (written, kind) {
            (Some(written), _) => Some(written.over(&ReschedulePolicy::standard(kind))),
            (None, "system" | "sysbatch") => None,
            (None, _) => Some(ReschedulePolicy::standard(kind)),
        };
        let migrate = match (&self.migrate, &job.migrate) {
            (Some(own), Some(base)) => Some(own.over(base)),
            (own, base) => own.clone().or_else(|| base.clone()),
        };
        self.migrate = match (migrate, kind) {
            (Some(written), _) => Some(written.over(&MigrateStrategy::standard())),
            (None, "service") => Some(MigrateStrategy::standard()),
            (None, _) => None,
        };
        let job_update = job.update.as_ref().filter(|update| !update.is_off());
        self.update = match (&self.update, job_update) {
            (Some(own), Some(base)) => Some(own.over(base)),
            (own, base) => own.clone().or_else(|| base.cloned()),
        };
        if let Some(update) = &mut self.update {
            update.canonicalise();
        }
        if let Some(disconnect) = &mut self.disconnect {
            fill(&mut disconnect.replace, true);
            fill(&mut disconnect.reconcile, "best_score".to_owned());
        }
    }
}

fn canonicalise_consul(consul: &mut Consul) {
    fill_text(&mut consul.cluster, "default");
}

impl ScalingPolicy {
    fn canonicalise(&mut self, count: Option<i64>) {
        fill(&mut self.enabled, true);
        if self.min.is_none() {
            self.min = Some(count.unwrap_or(1));
        }
        fill_text(&mut self.r#type, "horizontal");
    }
}

impl Task {
    fn canonicalise(&mut self, job: &str, group: &str, restart: &RestartPolicy) {
        canonicalise_rules(&mut None, &mut self.affinities);
        fill(&mut self.kill_timeout, GoDuration::from_secs(5));
        self.resources.get_or_insert_with(Resources::default).canonicalise();
        self.restart_policy = Some(match self.restart_policy.take() {
            Some(own) => own.over(restart),
            None => restart.clone(),
        });
        canonicalise_logs(&mut self.log_config);
        self.artifacts.iter_mut().flatten().for_each(TaskArtifact::canonicalise);
        self.templates.iter_mut().flatten().for_each(Template::canonicalise);
        if let Some(vault) = &mut self.vault {
            vault.canonicalise();
        }
        if let Some(consul) = &mut self.consul {
            canonicalise_consul(consul);
        }
        canonicalise_mounts(&mut self.volume_mounts);
        for secret in self.secrets.iter_mut().flatten() {
            drop_empty_map(&mut secret.config);
            drop_empty_map(&mut secret.env);
        }
        if let Some(plugin) = &mut self.csi_plugin_config {
            fill_text(&mut plugin.mount_dir, "/csi");
            fill_text(&mut plugin.stage_publish_base_dir, "/local/csi");
            if plugin.health_timeout == GoDuration(0) {
                plugin.health_timeout = GoDuration::from_secs(30);
            }
        }
        let name = self.name.clone();
        for service in self.services.iter_mut().flatten() {
            canonicalise_service(service, job, group, Some(&name));
        }
    }
}

impl Resources {
    fn canonicalise(&mut self) {
        fill(&mut self.cores, 0);
        if self.cpu.is_none() {
            self.cpu = Some(if self.cores == Some(0) { 100 } else { 0 });
        }
        fill(&mut self.memory_mb, 300);
        for device in self.devices.iter_mut().flatten() {
            fill(&mut device.count, 1);
            canonicalise_rules(&mut None, &mut device.affinities);
        }
        if let Some(numa) = &mut self.numa {
            fill_text(&mut numa.affinity, "none");
            drop_empty_list(&mut numa.devices);
        }
    }
}

impl TaskArtifact {
    fn canonicalise(&mut self) {
        fill(&mut self.getter_mode, "any".to_owned());
        fill(&mut self.getter_insecure, false);
        fill(&mut self.getter_source, String::new());
        drop_empty_map(&mut self.getter_options);
        drop_empty_map(&mut self.getter_headers);
        if self.relative_dest.is_none() {
            let source = self.getter_source.as_deref().unwrap_or_default();
            self.relative_dest = Some(match self.getter_mode.as_deref() {
                Some("file") => {
                    format!("local/{}", source.trim_end_matches('/').rsplit('/').next().unwrap_or_default())
                }
                _ => "local/".to_owned(),
            });
        }
    }
}

impl Template {
    fn canonicalise(&mut self) {
        for slot in [&mut self.source_path, &mut self.dest_path, &mut self.embedded_tmpl] {
            fill(slot, String::new());
        }
        fill(&mut self.change_mode, "restart".to_owned());
        let by_signal = self.change_mode.as_deref() == Some("signal");
        match &mut self.change_signal {
            Some(signal) => *signal = signal.to_uppercase(),
            None => self.change_signal = Some(if by_signal { "SIGHUP" } else { "" }.to_owned()),
        }
        if let Some(script) = &mut self.change_script {
            fill(&mut script.command, String::new());
            fill(&mut script.args, Vec::new());
            fill(&mut script.timeout, GoDuration::from_secs(5));
            fill(&mut script.fail_on_error, false);
            fill(&mut script.run_on_first_render, false);
        }
        fill(&mut self.once, false);
        fill(&mut self.splay, GoDuration::from_secs(5));
        fill(&mut self.perms, "0644".to_owned());
        fill(&mut self.left_delim, "{{".to_owned());
        fill(&mut self.right_delim, "}}".to_owned());
        fill(&mut self.envvars, false);
        fill(&mut self.err_missing_key, false);
        fill(&mut self.vault_grace, GoDuration(0));
    }
}

impl Vault {
    fn canonicalise(&mut self) {
        fill(&mut self.env, true);
        fill(&mut self.disable_file, false);
        fill(&mut self.namespace, String::new());
        fill_text(&mut self.cluster, "default");
        fill(&mut self.change_mode, "restart".to_owned());
        fill(&mut self.change_signal, "SIGHUP".to_owned());
        fill(&mut self.allow_token_expiration, false);
    }
}

fn canonicalise_service(service: &mut Service, job: &str, group: &str, task: Option<&str>) {
    if service.name.is_empty() {
        service.name = match task {
            Some(task) => format!("{job}-{group}-{task}"),
            None => format!("{job}-{group}"),
        };
    }
    fill_text(&mut service.provider, DEFAULT_PROVIDER);
    fill_text(&mut service.cluster, "default");
    fill_text(&mut service.on_update, "require_healthy");
    fill_text(&mut service.address_mode, "auto");
    if let Some(weights) = &mut service.weights {
        for weight in [&mut weights.passing, &mut weights.warning] {
            if *weight == 0 {
                *weight = 1;
            }
        }
    }
    drop_empty_map(&mut service.meta);
    drop_empty_map(&mut service.canary_meta);
    drop_empty_map(&mut service.tagged_addresses);
    let (on_update, restart) = (service.on_update.clone(), service.check_restart.clone());
    for check in service.checks.iter_mut().flatten() {
        canonicalise_check(check, &on_update, restart.as_ref());
    }
    if let Some(connect) = &mut service.connect {
        canonicalise_connect(connect);
    }
}

fn canonicalise_check(check: &mut ServiceCheck, on_update: &str, restart: Option<&CheckRestart>) {
    fill_text(&mut check.on_update, on_update);
    match (&mut check.check_restart, restart) {
        (Some(own), Some(base)) => {
            if own.limit == 0 {
                own.limit = base.limit;
            }
            own.grace = own.grace.or(base.grace);
            own.ignore_warnings |= base.ignore_warnings;
        }
        (own @ None, base) => *own = base.cloned(),
        (Some(_), None) => {}
    }
    if let Some(restart) = &mut check.check_restart {
        fill(&mut restart.grace, GoDuration::from_secs(1));
    }
}

fn canonicalise_connect(connect: &mut Connect) {
    if let Some(sidecar) = &mut connect.sidecar_service {
        drop_empty_list(&mut sidecar.tags);
        drop_empty_map(&mut sidecar.meta);
        if let Some(proxy) = &mut sidecar.proxy {
            drop_empty_map(&mut proxy.config);
            for upstream in proxy.upstreams.iter_mut().flatten() {
                drop_empty_map(&mut upstream.config);
            }
            if let Some(transparent) = &mut proxy.transparent_proxy {
                drop_empty_list(&mut transparent.exclude_inbound_ports);
                drop_empty_list(&mut transparent.exclude_outbound_ports);
                drop_empty_list(&mut transparent.exclude_outbound_cidrs);
                drop_empty_list(&mut transparent.exclude_uids);
            }
        }
    }
    if let Some(task) = &mut connect.sidecar_task {
        task.resources.get_or_insert_with(Resources::default).canonicalise();
        fill(&mut task.kill_timeout, GoDuration::from_secs(5));
        fill(&mut task.shutdown_delay, GoDuration(0));
        canonicalise_logs(&mut task.log_config);
        canonicalise_mounts(&mut task.volume_mounts);
    }
    let Some(gateway) = &mut connect.gateway else { return };
    if let Some(proxy) = &mut gateway.proxy {
        fill(&mut proxy.connect_timeout, GoDuration::from_secs(5));
        drop_empty_map(&mut proxy.config);
    }
    let listeners = gateway.ingress.iter_mut().flat_map(|ingress| ingress.listeners.iter_mut().flatten());
    for listener in listeners {
        fill_text(&mut listener.protocol, "tcp");
    }
}

fn canonicalise_logs(logs: &mut Option<LogConfig>) {
    let logs = logs.get_or_insert_with(LogConfig::default);
    fill(&mut logs.max_files, 10);
    fill(&mut logs.max_file_size_mb, 10);
    fill(&mut logs.disabled, false);
}

fn canonicalise_mounts(mounts: &mut Option<Vec<VolumeMount>>) {
    for mount in mounts.iter_mut().flatten() {
        fill(&mut mount.propagation_mode, "private".to_owned());
        fill(&mut mount.read_only, false);
        fill(&mut mount.selinux_label, String::new());
    }
}

/// Some blocks lose their empty maps.
fn drop_empty_map<K, V>(map: &mut Option<BTreeMap<K, V>>) {
    if map.as_ref().is_some_and(BTreeMap::is_empty) {
        *map = None;
    }
}

/// Some blocks lose their empty lists.
fn drop_empty_list<T>(list: &mut Option<Vec<T>>) {
    if list.as_ref().is_some_and(Vec::is_empty) {
        *list = None;
    }
}
