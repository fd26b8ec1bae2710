# SPDX-License-Identifier: LGPL-2.1-or-later
"""The categories of libvirt's messages, used to warn about filters that match none.

The list is that of libvirt 11.3.0, from the VIR_LOG_INIT() lines of its source. Other versions
differ in a few, so a filter that matches none of these may still be right.
"""

from __future__ import annotations

_NAMES = """
access.accessdriverpolkit access.accessmanager bhyve.bhyve_capabilities bhyve.bhyve_command
bhyve.bhyve_conf bhyve.bhyve_device bhyve.bhyve_domain bhyve.bhyve_driver bhyve.bhyve_firmware
bhyve.bhyve_monitor bhyve.bhyve_parse_command bhyve.bhyve_process ch.ch_conf ch.ch_domain
ch.ch_driver ch.ch_events ch.ch_hostdev ch.ch_interface ch.ch_monitor ch.ch_process
conf.backup_conf conf.capabilities conf.checkpoint_conf conf.chrdev conf.cpu_conf
conf.domain_addr conf.domain_audit conf.domain_conf conf.domain_nwfilter conf.domain_postparse
conf.domain_validate conf.moment_conf conf.network_event conf.node_device_conf
conf.node_device_event conf.nwfilter_params conf.object_event conf.savecookie conf.secret_conf
conf.secret_event conf.snapshot_conf conf.storage_adapter_conf conf.storage_capabilities
conf.storage_conf conf.storage_event conf.storage_source_conf conf.virdomaincheckpointobjlist
conf.virdomainjob conf.virdomainmomentobjlist conf.virdomainobjlist conf.virdomainsnapshotobjlist
conf.virinterfaceobj conf.virnetworkobj conf.virnodedeviceobj conf.virnwfilterbindingobjlist
conf.virnwfilterobj conf.virsecretobj conf.virstorageobj cpu.cpu cpu.cpu_arm cpu.cpu_loongarch
cpu.cpu_map cpu.cpu_ppc64 cpu.cpu_x86 daemon.admin daemon.admin_server daemon.libvirtd
daemon.libvirtd-config daemon.remote daemon.stream daemon.virtbhyved daemon.virtchd
daemon.virtinterfaced daemon.virtlxcd daemon.virtnetworkd daemon.virtnodedevd
daemon.virtnwfilterd daemon.virtproxyd daemon.virtqemud daemon.virtsecretd daemon.virtstoraged
daemon.virtvboxd daemon.virtvzd daemon.virtxend datatypes domain.cgroup domain.domain_logcontext
domain.interface driver esx.esx_driver esx.esx_storage_backend_vmfs esx.esx_util esx.esx_vi
esx.esx_vi_types fdstream hyperv.hyperv_driver hyperv.hyperv_util hyperv.hyperv_wmi
hypervisor.domain_driver interface.interface_backend_netcf interface.interface_backend_udev
libvirt libvirt-admin libvirt-lxc libvirt-qemu libvirt.domain libvirt.domain-checkpoint
libvirt.domain-snapshot libvirt.host libvirt.interface libvirt.network libvirt.nodedev
libvirt.nwfilter libvirt.secret libvirt.storage libvirt.stream libxl.libxl_capabilities
libxl.libxl_conf libxl.libxl_domain libxl.libxl_driver libxl.libxl_logger libxl.libxl_migration
locking.domain_lock locking.lock_daemon locking.lock_daemon_config locking.lock_daemon_dispatch
locking.lock_driver_lockd locking.lock_driver_nop locking.lock_driver_sanlock
locking.lock_manager logging.log_cleaner logging.log_daemon logging.log_daemon_config
logging.log_daemon_dispatch logging.log_handler lxc.lxc_cgroup lxc.lxc_conf lxc.lxc_container
lxc.lxc_controller lxc.lxc_domain lxc.lxc_driver lxc.lxc_hostdev lxc.lxc_monitor lxc.lxc_native
lxc.lxc_process network.bridge_driver network.bridge_driver_linux network.iptables
network.nftables node_device.node_device_driver node_device.node_device_udev
node_device.node_device_util nwfilter.nwfilter_dhcpsnoop nwfilter.nwfilter_driver
nwfilter.nwfilter_ebiptables_driver nwfilter.nwfilter_gentech_driver
nwfilter.nwfilter_learnipaddr openvz.openvz_driver parallels.parallels_driver parallels.sdk
parallels.utils qemu.dbus qemu.nbdkit qemu.passt qemu.qemu_agent qemu.qemu_alias qemu.qemu_backup
qemu.qemu_block qemu.qemu_blockjob qemu.qemu_capabilities qemu.qemu_cgroup qemu.qemu_checkpoint
qemu.qemu_command qemu.qemu_conf qemu.qemu_configs qemu.qemu_domain qemu.qemu_domain_address
qemu.qemu_domainjob qemu.qemu_driver qemu.qemu_extdevice qemu.qemu_fd qemu.qemu_firmware
qemu.qemu_hostdev qemu.qemu_hotplug qemu.qemu_interface qemu.qemu_migration
qemu.qemu_migration_cookie qemu.qemu_migration_params qemu.qemu_monitor qemu.qemu_monitor_json
qemu.qemu_postparse qemu.qemu_process qemu.qemu_qapi qemu.qemu_saveimage qemu.qemu_security
qemu.qemu_snapshot qemu.qemu_validate qemu.qemu_vhost_user qemu.rdp qemu.slirp qemu.tpm
qemu.vhost_user_gpu qemu.virtiofs remote.remote_driver remote.remote_sockets
remote.remote_ssh_helper rpc.keepalive rpc.netclient rpc.netclientprogram rpc.netclientstream
rpc.netdaemon rpc.netlibsshsession rpc.netmessage rpc.netsaslcontext rpc.netserver
rpc.netserverclient rpc.netserverprogram rpc.netserverservice rpc.netsocket rpc.netsshsession
rpc.nettlscert rpc.nettlscontext secret.secret_driver security.security_apparmor
security.security_dac security.security_driver security.security_manager
security.security_selinux security.security_stack security.security_util storage.storage_backend
storage.storage_backend_disk storage.storage_backend_fs storage.storage_backend_gluster
storage.storage_backend_iscsi storage.storage_backend_iscsi_direct
storage.storage_backend_logical storage.storage_backend_mpath storage.storage_backend_rbd
storage.storage_backend_scsi storage.storage_backend_vstorage storage.storage_backend_zfs
storage.storage_driver storage.storage_file_gluster storage.storage_source_backend
storage.storage_util storage_file.storagefileprobe storage_source storage_source_backingstore
test.test_driver tools.virsh-console util.acpi util.alloc util.arch util.arptable util.audit
util.auth util.authconfig util.bpf util.cgroup util.closecallbacks util.command util.conf
util.crypto util.dbus util.dnsmasq util.domain_event util.ebtables util.error util.event
util.eventglib util.file util.filecache util.firewall util.firewalld util.firmware util.hash
util.hook util.hostcpu util.hostdev util.hostmem util.identity util.inhibitor util.iscsi
util.json util.lockspace util.log util.mdev util.module util.netdev util.netdevbandwidth
util.netdevbridge util.netdevip util.netdevmacvlan util.netdevopenvswitch util.netdevtap
util.netdevveth util.netdevvportprofile util.netlink util.nodesuspend util.numa util.nvme
util.object util.pci util.pcivpd util.perf util.pidfile util.polkit util.process util.qemu
util.random util.rotatingfile util.scsi util.scsi_host util.scsihost util.secret util.storagefile
util.string util.sysinfo util.systemd util.threadjob util.time util.tpm util.uri util.usb
util.util util.uuid util.vhba util.virdevmapper util.virhostuptime util.virmacmap
util.virportallocator util.virresctrl util.vsock vbox.vbox_XPCOMCGlue vbox.vbox_common
vbox.vbox_driver vbox.vbox_network vbox.vbox_snapshot_conf vbox.vbox_storage vbox.vbox_tmpl
vmware.vmware_conf vmx.vmx xen.xen_xl
"""

CATEGORIES: tuple[str, ...] = tuple(_NAMES.split())
