# clawsup.bash: completion for bash. Tenants come from the running clawsupd, else from the configuration's file names.

_clawsup_tenants() {
    local names
    names=$(timeout 2 clawsup status --plain --no-heading 2>/dev/null | cut -f1)
    if [[ -z $names ]]; then
        names=$(cd /etc/clawsup/tenants.d 2>/dev/null && printf '%s\n' *.conf)
        names=${names//.conf/}
        [[ $names == '*' ]] && names=
    fi
    printf '%s\n' "$names"
}

_clawsup() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev= verb= i words=0
    local verbs="status top events logs denials init deploy diff remove restart redeploy pause resume release reload upgrade check-config explain import-compose capacity doctor version help"
    local options="--socket --config --json --plain --no-heading --help --version"

    ((COMP_CWORD > 0)) && prev=${COMP_WORDS[COMP_CWORD - 1]}
    COMPREPLY=()
    case $prev in
    --socket | --config | --body | --output | --data-root | --env-file)
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        return
        ;;
    --for)
        mapfile -t COMPREPLY < <(compgen -W "10m 30m 1h 2h 8h 24h" -- "$cur")
        return
        ;;
    --tenant)
        mapfile -t COMPREPLY < <(compgen -W "$(_clawsup_tenants)" -- "$cur")
        return
        ;;
    --state)
        mapfile -t COMPREPLY < <(compgen -W "unhealthy quarantined down recovering degraded starting held paused healthy" -- "$cur")
        return
        ;;
    --sort)
        mapfile -t COMPREPLY < <(compgen -W "name state restarts cpu memory disk requests refusals" -- "$cur")
        return
        ;;
    --lines | --since | --interval | --count | --api | --image | --user | --port | --health | --sandbox-images | --cpus | --memory | --pids | --disk | --timeout)
        return
        ;;
    esac
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        --socket | --config | --body | --for | --lines | --since | --interval | --count | --api | --tenant | --state | --sort | --output | --data-root | --env-file | \
            --image | --user | --port | --health | --sandbox-images | --cpus | --memory | --pids | --disk | --timeout) ((i++)) ;;
        -*) ;;
        *)
            if [[ -z $verb ]]; then verb=${COMP_WORDS[i]}; else ((words++)); fi
            ;;
        esac
    done
    case $verb in
    status) options+=" --watch --state --sort" ;;
    denials) options+=" --lines" ;;
    capacity) options+=" --cpus --memory --pids --disk" ;;
    init) options+=" --image --data-root --user --port --health --sandbox-images --cpus --memory --pids --disk --output --full --force --yes" ;;
    deploy) options+=" --timeout" ;;
    remove) options+=" --yes --purge" ;;
    events) options+=" --follow --since --lines --tenant" ;;
    logs) options+=" --follow --since --lines" ;;
    top) options+=" --interval --count --sort" ;;
    pause) options+=" --for" ;;
    redeploy) options+=" --dry-run" ;;
    explain) options+=" --body --api" ;;
    import-compose) options+=" --output --force --tenant --data-root --env-file" ;;
    esac
    if [[ $cur == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$options" -- "$cur")
        return
    fi
    case $verb:$words in
    :*) mapfile -t COMPREPLY < <(compgen -W "$verbs" -- "$cur") ;;
    help:0) mapfile -t COMPREPLY < <(compgen -W "$verbs" -- "$cur") ;;
    status:0 | events:0 | logs:0 | denials:0 | deploy:0 | remove:0 | restart:0 | redeploy:0 | pause:0 | resume:0 | release:0 | explain:0)
        mapfile -t COMPREPLY < <(compgen -W "$(_clawsup_tenants)" -- "$cur")
        ;;
    logs:1) mapfile -t COMPREPLY < <(compgen -W "gateway proxy sandbox clawsupd" -- "$cur") ;;
    restart:1) mapfile -t COMPREPLY < <(compgen -W "proxy gateway" -- "$cur") ;;
    check-config:0 | deploy:1 | import-compose:*) mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
    esac
}

complete -F _clawsup clawsup
