// SPDX-License-Identifier: LGPL-2.1-or-later
import { Gallery, GalleryItem } from "@patternfly/react-core";

import { _ } from "../base/cockpit";
import { Section } from "../base/Section";
import { useLogDaemons } from "../service/hooks";
import { Collect } from "./Collect";
import { DaemonCard } from "./DaemonCard";

/** What libvirt's daemons log, a card each. */
export function DebugLogs() {
    const daemons = useLogDaemons();
    return (
        <Section title={_("Debug logs")} actions={<Collect />}>
            {daemons.length === 0
                ? <p>{_("No daemon of libvirt is installed on this host.")}</p>
                : <Gallery hasGutter minWidths={{ default: "min(100%, 22rem)" }}>
                    {daemons.map((daemon) => <GalleryItem key={daemon.path}><DaemonCard daemon={daemon} /></GalleryItem>)}
                </Gallery>}
        </Section>
    );
}
