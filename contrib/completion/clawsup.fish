# clawsup.fish: completion for fish. Tenants come from the running clawsupd.

function __clawsup_tenants
    timeout 2 clawsup status --plain --no-heading 2>/dev/null | cut -f1
end

set -l verbs status top events logs denials init deploy diff remove restart redeploy pause resume release reload upgrade check-config explain import-compose doctor version help
set -l on_tenant status events logs denials deploy remove restart redeploy pause resume release explain

complete -c clawsup -f
complete -c clawsup -l socket -r -F -d 'Control socket of clawsupd'
complete -c clawsup -l config -r -F -d Configuration
complete -c clawsup -l json -d 'JSON instead of text'
complete -c clawsup -l plain -d 'No colour, fields separated by tabs'
complete -c clawsup -l no-heading -d 'No line with the names of the columns'
complete -c clawsup -s h -l help -d Help
complete -c clawsup -l version -d 'Version of clawsup'

complete -c clawsup -n "not __fish_seen_subcommand_from $verbs" -a status -d 'How the tenants are'
complete -c clawsup -n "not __fish_seen_subcommand_from $verbs" -a top -d 'What the tenants use now'
complete -c clawsup -n "not __fish_seen_subcommand_from $verbs" -a diff -d 'The configuration on disk against what runs'
complete -c clawsup -n "not __fish_seen_subcommand_from $verbs" -a events -d 'What happened'
complete -c clawsup -n "not __fish_seen_subcommand_from $verbs" -a logs -d 'What containers, proxy and clawsupd say'
complete -c clawsup -n "not __fish_seen_subcommand_from $verbs" -a denials -d 'What a tenant was refused'
complete -c clawsup -n "not __fish_seen_subcommand_from $verbs" -a init -d 'Write a commented tenant file'
complete -c clawsup -n "not __fish_seen_subcommand_from $verbs" -a deploy -d 'Load a tenant, wait until it is healthy'
complete -c clawsup -n "not __fish_seen_subcommand_from $verbs" -a remove -d 'Stop and remove a tenant'
complete -c clawsup -n "not __fish_seen_subcommand_from $verbs" -a restart -d 'Restart a component now'
complete -c clawsup -n "not __fish_seen_subcommand_from $verbs" -a redeploy -d 'Replace the gateway by a new container'
complete -c clawsup -n "not __fish_seen_subcommand_from $verbs" -a pause -d 'Do not act on a tenant for a while'
complete -c clawsup -n "not __fish_seen_subcommand_from $verbs" -a resume -d 'End a pause or a hold'
complete -c clawsup -n "not __fish_seen_subcommand_from $verbs" -a release -d 'Let a quarantined tenant be recovered'
complete -c clawsup -n "not __fish_seen_subcommand_from $verbs" -a reload -d 'Read the configuration again'
complete -c clawsup -n "not __fish_seen_subcommand_from $verbs" -a upgrade -d 'Put the clawsupd on disk in the place of the running one'
complete -c clawsup -n "not __fish_seen_subcommand_from $verbs" -a check-config -d 'Check the configuration'
complete -c clawsup -n "not __fish_seen_subcommand_from $verbs" -a explain -d 'Would a request be allowed?'
complete -c clawsup -n "not __fish_seen_subcommand_from $verbs" -a import-compose -d 'Tenants from Compose files'
complete -c clawsup -n "not __fish_seen_subcommand_from $verbs" -a doctor -d 'What this host gives clawsup'
complete -c clawsup -n "not __fish_seen_subcommand_from $verbs" -a version -d 'Versions'
complete -c clawsup -n "not __fish_seen_subcommand_from $verbs" -a help -d 'Help of a verb'

complete -c clawsup -n "__fish_seen_subcommand_from $on_tenant" -a '(__clawsup_tenants)'
complete -c clawsup -n '__fish_seen_subcommand_from restart redeploy' -a 'proxy gateway'
complete -c clawsup -n '__fish_seen_subcommand_from redeploy' -l dry-run -d 'Only say what would be done'
complete -c clawsup -n '__fish_seen_subcommand_from status' -l watch -d 'Redraw every second'
complete -c clawsup -n '__fish_seen_subcommand_from status' -l state -x -a 'unhealthy quarantined down recovering degraded starting held paused healthy' -d 'Only tenants in these states'
complete -c clawsup -n '__fish_seen_subcommand_from status' -l sort -x -a 'name state restarts cpu memory disk' -d 'Order of the tenants'
complete -c clawsup -n '__fish_seen_subcommand_from events' -l follow -d 'Go on with new events'
complete -c clawsup -n '__fish_seen_subcommand_from denials' -l lines -x -d 'So many groups'
complete -c clawsup -n '__fish_seen_subcommand_from events' -l lines -x -d 'So many past events'
complete -c clawsup -n '__fish_seen_subcommand_from events' -l tenant -x -a '(__clawsup_tenants)' -d 'The same as the argument'
complete -c clawsup -n '__fish_seen_subcommand_from pause' -l for -x -a '10m 30m 1h 2h 8h 24h' -d 'How long'
complete -c clawsup -n '__fish_seen_subcommand_from check-config' -F
complete -c clawsup -n '__fish_seen_subcommand_from explain' -l body -r -F -d 'Body of the request'
complete -c clawsup -n '__fish_seen_subcommand_from explain' -l api -x -d 'API version of the engine'
complete -c clawsup -n '__fish_seen_subcommand_from import-compose' -F
complete -c clawsup -n '__fish_seen_subcommand_from import-compose' -l output -r -F -d 'File or directory to write'
complete -c clawsup -n '__fish_seen_subcommand_from import-compose' -l force -d 'Replace a file that is there'
complete -c clawsup -n '__fish_seen_subcommand_from import-compose' -l tenant -x -d 'Name of the tenant'
complete -c clawsup -n '__fish_seen_subcommand_from import-compose' -l data-root -x -a '(__fish_complete_directories)' -d 'Directory of the tenant'
complete -c clawsup -n '__fish_seen_subcommand_from import-compose' -l env-file -r -F -d 'Variables of the Compose file'
complete -c clawsup -n '__fish_seen_subcommand_from init' -l image -x -d 'Of the gateway'
complete -c clawsup -n '__fish_seen_subcommand_from init' -l user -x -d 'That the gateway runs as'
complete -c clawsup -n '__fish_seen_subcommand_from init' -l port -x -d 'On 127.0.0.1'
complete -c clawsup -n '__fish_seen_subcommand_from init' -l health -x -d 'Path of the check'
complete -c clawsup -n '__fish_seen_subcommand_from init' -l sandbox-images -x -d 'That sandboxes may be made of'
complete -c clawsup -n '__fish_seen_subcommand_from init' -l cpus -x -d 'Of both together'
complete -c clawsup -n '__fish_seen_subcommand_from init' -l memory -x -d 'Of both together'
complete -c clawsup -n '__fish_seen_subcommand_from init' -l pids -x -d 'Of both together'
complete -c clawsup -n '__fish_seen_subcommand_from init' -l disk -x -d 'Of the data'
complete -c clawsup -n '__fish_seen_subcommand_from init' -l data-root -x -a '(__fish_complete_directories)' -d 'Directory of the data'
complete -c clawsup -n '__fish_seen_subcommand_from init' -l output -r -F -d 'Where to write it'
complete -c clawsup -n '__fish_seen_subcommand_from init' -l full -d 'Also keys that are not set'
complete -c clawsup -n '__fish_seen_subcommand_from init' -l force -d 'Replace a file that is there'
complete -c clawsup -n '__fish_seen_subcommand_from init remove' -l yes -d 'Do not ask'
complete -c clawsup -n '__fish_seen_subcommand_from remove' -l purge -d 'Delete its data, too'
complete -c clawsup -n '__fish_seen_subcommand_from deploy' -l timeout -x -d 'How long to wait'
complete -c clawsup -n '__fish_seen_subcommand_from deploy' -F
complete -c clawsup -n '__fish_seen_subcommand_from events' -l since -x -a '10m 1h 1d' -d 'Only later ones'
complete -c clawsup -n '__fish_seen_subcommand_from top' -l interval -x -d 'Between two looks'
complete -c clawsup -n '__fish_seen_subcommand_from top' -l count -x -d 'So many looks'
complete -c clawsup -n '__fish_seen_subcommand_from top' -l sort -x -a 'cpu memory disk requests refusals name' -d 'Order'
complete -c clawsup -n '__fish_seen_subcommand_from logs' -a 'gateway proxy sandbox clawsupd'
complete -c clawsup -n '__fish_seen_subcommand_from logs' -l follow -d 'Go on with new lines'
complete -c clawsup -n '__fish_seen_subcommand_from logs' -l since -x -a '10m 1h 1d' -d 'Only later ones'
complete -c clawsup -n '__fish_seen_subcommand_from logs' -l lines -x -d 'So many past lines'
