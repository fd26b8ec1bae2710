# SPDX-License-Identifier: LGPL-2.1-or-later
# Completion of nestctl(1). Written by packaging/completion/generate.py.

_nestctl() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}
    local command= index word words= files=
    for ((index = 1; index < COMP_CWORD; index++)); do
        word=${COMP_WORDS[index]}
        case $word in
            --for|--max-size|--output|--outputs|--preset|--root|--simulate|--stop-machines|--time-limit|--token|--who|--why|--with|-o) ((index++)) ;;
            -*) ;;
            *)
                command=${command:+$command }$word
                [[ $command == log ]] || break
                ;;
        esac
    done
    case "$command $previous" in
        " --simulate")
            words="$(printf '%s\n' intel amd power s390 arm64)"
            ;;
        " --root")
            files=-f
            ;;
        "describe --with")
            words="$(printf '%s\n' checks guests posture)"
            ;;
        "metrics --output")
            files=-f
            ;;
        "nested --token")
            ;;
        "nested --stop-machines")
            words="$(printf '%s\n' save shutdown)"
            ;;
        "nested --time-limit")
            ;;
        "set --token")
            ;;
        "wait --for")
            ;;
        "inhibit --who")
            ;;
        "inhibit --why")
            ;;
        "log set --preset")
            words="$(printf '%s\n' qemu all-less-noise qmp all all-with-events drivers sample)"
            ;;
        "log set --outputs")
            ;;
        "log debug --preset")
            words="$(printf '%s\n' qemu all-less-noise qmp all all-with-events drivers sample)"
            ;;
        "log debug --outputs")
            ;;
        "log debug --for")
            ;;
        "log debug --max-size")
            ;;
        "log collect -o" | "log collect --output")
            files=-f
            ;;
        "log collect --max-size")
            ;;
        *)
            case "$command" in
                "")
                    words="status watch guests vms jobs cancel history validate check-guest posture describe metrics nested set reload load unload plan undo machines wait inhibit log shell help --help --version --json --standalone --simulate --root --no-ask-password"
                    ;;
                "status")
                    words="--help --json"
                    ;;
                "watch")
                    words="--help --json"
                    ;;
                "guests")
                    words="deny allow --help --json --watch"
                    ;;
                "guests deny")
                    words="--help --json --all --dry-run"
                    ;;
                "guests allow")
                    words="--help --json --all --dry-run"
                    ;;
                "vms")
                    words="--help --json"
                    ;;
                "jobs")
                    words="--help --json"
                    ;;
                "cancel")
                    words="--help --json"
                    words+=" $(nestctl jobs 2>/dev/null | sed -n 's/^\([0-9][0-9]*\) .*/\1/p')"
                    ;;
                "history")
                    words="--help --json"
                    ;;
                "validate")
                    words="--help --json --all"
                    ;;
                "check-guest")
                    words="--help --json --all"
                    words+=" $(virsh --readonly list --all --name 2>/dev/null | sed '/^$/d')"
                    files=-f
                    ;;
                "posture")
                    words="--help --json"
                    ;;
                "describe")
                    words="--help --json --with"
                    ;;
                "metrics")
                    words="--help --json --textfile --output"
                    ;;
                "nested")
                    words="--help --json --now --when-idle --at-boot --wait --dry-run --token --stop-machines --time-limit --yes"
                    words+=" $(printf '%s\n' on off)"
                    ;;
                "set")
                    words="--help --json --now --when-idle --at-boot --wait --dry-run --token"
                    words+=" $(sh -c 'ls /sys/module /lib/modules/"$(uname -r)"/kernel/arch/*/kvm 2>/dev/null | sed -n '"'"'s/^\(kvm[a-z_-]*\).*/\1/p'"'"' | tr - _ | sort -u | grep . || echo kvm')"
                    words+=" $(ls /sys/module/kvm*/parameters 2>/dev/null | sed -n 's/^[a-z0-9_]*$/&=/p')"
                    ;;
                "reload")
                    words="--help --json --now --when-idle --wait"
                    words+=" $(sh -c 'ls /sys/module /lib/modules/"$(uname -r)"/kernel/arch/*/kvm 2>/dev/null | sed -n '"'"'s/^\(kvm[a-z_-]*\).*/\1/p'"'"' | tr - _ | sort -u | grep . || echo kvm')"
                    ;;
                "load")
                    words="--help --json"
                    words+=" $(sh -c 'ls /sys/module /lib/modules/"$(uname -r)"/kernel/arch/*/kvm 2>/dev/null | sed -n '"'"'s/^\(kvm[a-z_-]*\).*/\1/p'"'"' | tr - _ | sort -u | grep . || echo kvm')"
                    ;;
                "unload")
                    words="--help --json --now --when-idle --wait"
                    words+=" $(sh -c 'ls /sys/module /lib/modules/"$(uname -r)"/kernel/arch/*/kvm 2>/dev/null | sed -n '"'"'s/^\(kvm[a-z_-]*\).*/\1/p'"'"' | tr - _ | sort -u | grep . || echo kvm')"
                    ;;
                "plan")
                    words="--help --json --now --when-idle --at-boot"
                    words+=" $(sh -c 'ls /sys/module /lib/modules/"$(uname -r)"/kernel/arch/*/kvm 2>/dev/null | sed -n '"'"'s/^\(kvm[a-z_-]*\).*/\1/p'"'"' | tr - _ | sort -u | grep . || echo kvm')"
                    words+=" $(ls /sys/module/kvm*/parameters 2>/dev/null | sed -n 's/^[a-z0-9_]*$/&=/p')"
                    ;;
                "undo")
                    words="--help --json --now --when-idle --at-boot --wait --dry-run"
                    ;;
                "machines")
                    words="resume --help --json"
                    ;;
                "machines resume")
                    words="--help --json"
                    ;;
                "wait")
                    words="--help --json --for"
                    words+=" $(nestctl jobs 2>/dev/null | sed -n 's/^\([0-9][0-9]*\) .*/\1/p')"
                    ;;
                "inhibit")
                    words="--help --json --who --why"
                    ;;
                "log")
                    words="show set debug collect presets --help --json"
                    ;;
                "log show")
                    words="--help --json"
                    words+=" $(sh -c 'for name in libvirtd virtqemud virtnetworkd virtstoraged virtnodedevd virtsecretd virtinterfaced virtnwfilterd virtproxyd virtchd virtlxcd virtvboxd virtvzd virtxend; do PATH=$PATH:/usr/sbin:/sbin command -v "$name" >/dev/null && echo "$name"; done')"
                    ;;
                "log set")
                    words="--help --json --preset --clear --outputs --now --runtime --at-start --dry-run"
                    words+=" $(sh -c 'for name in libvirtd virtqemud virtnetworkd virtstoraged virtnodedevd virtsecretd virtinterfaced virtnwfilterd virtproxyd virtchd virtlxcd virtvboxd virtvzd virtxend; do PATH=$PATH:/usr/sbin:/sbin command -v "$name" >/dev/null && echo "$name"; done')"
                    ;;
                "log debug")
                    words="--help --json --preset --clear --outputs --for --max-size --no-wait --stop --dry-run"
                    words+=" $(sh -c 'for name in libvirtd virtqemud virtnetworkd virtstoraged virtnodedevd virtsecretd virtinterfaced virtnwfilterd virtproxyd virtchd virtlxcd virtvboxd virtvzd virtxend; do PATH=$PATH:/usr/sbin:/sbin command -v "$name" >/dev/null && echo "$name"; done')"
                    ;;
                "log collect")
                    words="--help --json --output --max-size --dry-run"
                    ;;
                "log presets")
                    words="--help --json"
                    ;;
                "shell")
                    words="--help --json"
                    ;;
                "help")
                    words="--help --json"
                    ;;
            esac
            ;;
    esac
    COMPREPLY=($(compgen $files -W "$words" -- "$current"))
    [[ ${#COMPREPLY[@]} != 1 || $COMPREPLY != *= ]] || compopt -o nospace 2>/dev/null
}
complete -F _nestctl nestctl
