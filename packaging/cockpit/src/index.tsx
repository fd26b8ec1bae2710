// SPDX-License-Identifier: LGPL-2.1-or-later
import "@patternfly/react-core/dist/styles/base.css";
import "./page.css";

import { createRoot } from "react-dom/client";

import { _, cockpit } from "./base/cockpit";
import { followTheme } from "./base/theme";
import { Page } from "./Page";
import { Service } from "./service/connection";
import { ServiceContext } from "./service/hooks";

followTheme();
document.documentElement.lang = cockpit.language.replace("_", "-");
document.title = _("Virtualization host");
const app = document.getElementById("app");
if (app)
    createRoot(app).render(
        <ServiceContext.Provider value={new Service()}><Page /></ServiceContext.Provider>);
