# SPDX-License-Identifier: LGPL-2.1-or-later
# Completion of nestctl(1). Written by packaging/completion/generate.py.

_nestctl() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}
    local command= index word words= files=
    for ((index = 1; index < COMP_CWORD; index++)); do
        word=${COMP_WORDS[index]}
        case $word in
            --for|--max-size|--output|--outputs|--preset|--root|--simulate|--token|--who|--why|-o) ((index++)) ;;
            -*) ;;
            *)
                command=${command:+$command }$word
                [[ $command == log ]] || break
                ;;
        esac
    done
    case "$command $previous" in
        " --simulate")
            words="$(printf '%s\n' intel amd power s390)"
            ;;
        " --root")
            files=-f
            ;;
        "nested --token")
            ;;
        "set --token")
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
        "inhibit --who")
            ;;
        "inhibit --why")
            ;;
        "wait --for")
            ;;
        *)
            case "$command" in
                "")
                    words="status nested set reload plan vms describe jobs cancel watch validate check-guest log inhibit wait shell --help --version --standalone --simulate --root --no-ask-password"
                    ;;
                "status")
                    words="--help --json"
                    ;;
                "nested")
                    words="--help --json --now --when-idle --at-boot --wait --dry-run --token"
                    words+=" $(printf '%s\n' on off)"
                    ;;
                "set")
                    words="--help --json --now --when-idle --at-boot --wait --dry-run --token"
                    words+=" $(printf '%s\n' kvm kvm_intel kvm_amd kvm_hv)"
                    words+=" $(ls /sys/module/kvm*/parameters 2>/dev/null | sed -n 's/^[a-z0-9_]*$/&=/p')"
                    ;;
                "reload")
                    words="--help --json --now --when-idle --wait"
                    words+=" $(printf '%s\n' kvm kvm_intel kvm_amd kvm_hv)"
                    ;;
                "plan")
                    words="--help --json --now --when-idle --at-boot"
                    words+=" $(printf '%s\n' kvm kvm_intel kvm_amd kvm_hv)"
                    words+=" $(ls /sys/module/kvm*/parameters 2>/dev/null | sed -n 's/^[a-z0-9_]*$/&=/p')"
                    ;;
                "vms")
                    words="--help --json"
                    ;;
                "describe")
                    words="--help --json"
                    ;;
                "jobs")
                    words="--help --json"
                    ;;
                "cancel")
                    words="--help"
                    words+=" $(nestctl jobs 2>/dev/null | sed -n 's/^\([0-9][0-9]*\) .*/\1/p')"
                    ;;
                "watch")
                    words="--help --json"
                    ;;
                "validate")
                    words="--help --json"
                    ;;
                "check-guest")
                    words="--help --json"
                    words+=" $(virsh --readonly list --all --name 2>/dev/null | sed '/^$/d')"
                    files=-f
                    ;;
                "log")
                    words="show set debug collect presets --help"
                    ;;
                "log show")
                    words="--help --json"
                    words+=" $(printf '%s\n' libvirtd virtqemud virtnetworkd virtstoraged virtnodedevd virtsecretd virtinterfaced virtnwfilterd virtproxyd)"
                    ;;
                "log set")
                    words="--help --json --preset --clear --outputs --now --runtime --at-start --dry-run"
                    words+=" $(printf '%s\n' libvirtd virtqemud virtnetworkd virtstoraged virtnodedevd virtsecretd virtinterfaced virtnwfilterd virtproxyd)"
                    ;;
                "log debug")
                    words="--help --preset --clear --outputs --for --max-size --no-wait --stop"
                    words+=" $(printf '%s\n' libvirtd virtqemud virtnetworkd virtstoraged virtnodedevd virtsecretd virtinterfaced virtnwfilterd virtproxyd)"
                    ;;
                "log collect")
                    words="--help --output --max-size"
                    ;;
                "log presets")
                    words="--help --json"
                    ;;
                "inhibit")
                    words="--help --json --who --why"
                    ;;
                "wait")
                    words="--help --json --for"
                    words+=" $(nestctl jobs 2>/dev/null | sed -n 's/^\([0-9][0-9]*\) .*/\1/p')"
                    ;;
                "shell")
                    words="--help"
                    ;;
            esac
            ;;
    esac
    COMPREPLY=($(compgen $files -W "$words" -- "$current"))
    [[ ${#COMPREPLY[@]} != 1 || $COMPREPLY != *= ]] || compopt -o nospace 2>/dev/null
}
complete -F _nestctl nestctl
